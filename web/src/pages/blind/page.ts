import type { Page } from "../registry";

export default {
  within: "jobs",
  load: () => import("."),
} satisfies Page;
