/** The pages, each in one record. A page's name is how its address begins; `home` has the empty one. */
import type { ComponentType } from "preact";
// Two of the lazy pages share it: a separate chunk would be smaller than its request.
import "../events/sse";
import type { IconName } from "../ui/controls/icon";
import Home from "./home";
import Jobs from "./jobs";
import { Missing } from "./missing";

export interface PageModule {
  default: ComponentType;
  /** Resolves when the page's first data have arrived. */
  ready?: () => Promise<void>;
}

interface Page {
  /** Its link in the bar, with the key that follows `g` and its icon. */
  link?: { label: string; key: string; icon: IconName };
  /** The backend's optional feature that the link needs. */
  needs?: string;
  /** The page whose link is marked while this one is shown. */
  within?: string;
  /** Its code, if it is part of the first load. */
  view?: ComponentType;
  /** Loads its code. */
  load?: () => Promise<PageModule>;
}

const RECORDS = {
  home: { link: { label: "Home", key: "h", icon: "home" }, view: Home },
  data: { link: { label: "Data", key: "d", icon: "data" }, needs: "datasets", load: () => import("./data") },
  jobs: { link: { label: "Jobs", key: "j", icon: "jobs" }, view: Jobs },
  playground: {
    link: { label: "Playground", key: "p", icon: "playground" },
    load: () => import("./playground"),
  },
  endpoints: {
    link: { label: "Endpoints", key: "e", icon: "endpoints" },
    needs: "endpoints",
    load: () => import("./endpoints"),
  },
  "jobs/": {
    within: "jobs",
    load: async () => {
      const { Job, ready } = await import("./curves");
      return { default: Job, ready };
    },
  },
  compare: { within: "jobs", load: async () => ({ default: (await import("./curves")).Compare }) },
  sweeps: { within: "jobs", needs: "sweeps", load: () => import("./sweeps") },
  blind: { within: "jobs", load: () => import("./blind") },
  docs: { load: () => import("./docs") },
  missing: { view: Missing },
} satisfies Record<string, Page>;

export const PAGES: ReadonlyMap<string, Page> = new Map(Object.entries(RECORDS));

export const MISSING: Page = RECORDS.missing;

/** The links in the bar. */
export const LINKS = Object.entries<Page>(RECORDS).flatMap(([name, { link, needs }]) =>
  link === undefined ? [] : [{ name, needs, ...link }],
);
