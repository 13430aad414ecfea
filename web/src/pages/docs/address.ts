/** Addresses of the documentation's pages: `#/docs?page=serving&at=keys`. */
import { href } from "../../router";

/** A link as the pages write it, such as `serving.md#keys`, as an address; null if it leads elsewhere. */
export function docsAddress(link: string, current: string): string | null {
  const match = /^(?:([\w-]+)\.md)?(?:#([\w-]+))?$/u.exec(link);
  if (!match || link === "") return null;
  const [, page = current, at] = match;
  return href("/docs", { page, at });
}

export interface Listed {
  name: string;
  title: string;
}

/** The pages of the index by section, in its order. */
export function sections(index: string): { title: string; pages: Listed[] }[] {
  const found: { title: string; pages: Listed[] }[] = [];
  for (const line of index.split("\n")) {
    const section = /^## (.+)$/u.exec(line)?.[1];
    const page = /^- \[(.+?)\]\(([\w-]+)\.md\)/u.exec(line);
    if (section) found.push({ title: section, pages: [] });
    else if (page) found.at(-1)?.pages.push({ title: page[1]!, name: page[2]! });
  }
  return found;
}
