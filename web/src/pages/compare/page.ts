import type { Page } from "../registry";

export default {
  within: "jobs",
  load: async () => ({ default: (await import("../curves")).Compare }),
} satisfies Page;
