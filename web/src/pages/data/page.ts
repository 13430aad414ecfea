import type { Page } from "../registry";

export default {
  link: { at: 2, label: "Data", key: "d", icon: "data" },
  needs: "datasets",
  load: () => import("."),
} satisfies Page;
