import type { Page } from "../registry";

export default {
  load: () => import("."),
} satisfies Page;
