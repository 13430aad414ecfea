/** The pages. Each has its record in the `page.ts` of its folder. */
import type { ComponentType } from "preact";
// Two of the lazy pages share it: a separate chunk would be smaller than its request.
import "../events/sse";
import type { IconName } from "../ui/controls/icon";
import { Missing } from "./missing";

export interface PageModule {
  default: ComponentType;
  /** Resolves when the page's first data have arrived. */
  ready?: () => Promise<void>;
}

export interface Page {
  /** How its address begins, if that is not its folder's name; `home` has the empty one. */
  address?: string;
  /** Its link in the bar: its place there, the key that follows `g`, and its icon. */
  link?: { at: number; label: string; key: string; icon: IconName };
  /** The backend's optional feature that the link needs. */
  needs?: string;
  /** The page whose link is marked while this one is shown. */
  within?: string;
  /** Its code, if it is part of the first load. */
  view?: ComponentType;
  /** Loads its code. */
  load?: () => Promise<PageModule>;
}

const RECORDS = import.meta.glob<Page>("./*/page.ts", { eager: true, import: "default" });

export const MISSING: Page = { view: Missing };

/** By how the address begins. */
export const PAGES: ReadonlyMap<string, Page> = new Map(
  Object.entries(RECORDS).map(([path, page]) => [page.address ?? path.split("/")[1] ?? "", page]),
);

/** The links in the bar. */
export const LINKS = [...PAGES]
  .flatMap(([name, { link, needs }]) => (link === undefined ? [] : [{ name, needs, ...link }]))
  .sort((one, other) => one.at - other.at);
