import type { Page } from "../registry";

export default {
  link: { at: 4, label: "Playground", key: "p", icon: "playground" },
  load: () => import("."),
} satisfies Page;
