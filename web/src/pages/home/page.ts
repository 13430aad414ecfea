import type { Page } from "../registry";
import Home from ".";

export default {
  link: { at: 1, label: "Home", key: "h", icon: "home" },
  view: Home,
} satisfies Page;
