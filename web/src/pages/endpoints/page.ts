import type { Page } from "../registry";

export default {
  link: { at: 5, label: "Endpoints", key: "e", icon: "endpoints" },
  needs: "endpoints",
  load: () => import("."),
} satisfies Page;
