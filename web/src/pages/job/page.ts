import type { Page } from "../registry";

export default {
  address: "jobs/",
  within: "jobs",
  load: async () => {
    const { Job, ready } = await import("../curves");
    return { default: Job, ready };
  },
} satisfies Page;
