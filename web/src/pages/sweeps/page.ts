import type { Page } from "../registry";

export default {
  within: "jobs",
  needs: "sweeps",
  load: () => import("."),
} satisfies Page;
