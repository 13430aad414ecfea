import type { Page } from "../registry";
import Jobs from ".";

export default {
  link: { at: 3, label: "Jobs", key: "j", icon: "jobs" },
  view: Jobs,
} satisfies Page;
