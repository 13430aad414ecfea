/** Hash routes: the page's address contains everything worth sharing, and the server needs no route for it. */
import { computed, signal } from "@preact/signals";
import { restorePosition } from "./lib/scroll-restoration";

interface Route {
  /** The page's name in the registry, if such a page exists. */
  page: string;
  /** The job's id on the job page, else empty. */
  id: string;
  query: URLSearchParams;
  /** The path only, such as `/jobs/abc`. */
  path: string;
}

export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#/, "") || "/";
  const cut = text.indexOf("?");
  const path = cut < 0 ? text : text.slice(0, cut);
  const query = new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1));
  const parts = path.split("/").filter(Boolean);
  if (parts.length === 2 && parts[0] === "jobs")
    return { page: "jobs/", id: decoded(parts[1] ?? ""), query, path };
  // Links of `arkor dev`, the other Studio for the same projects, converted to this one's form.
  if (parts.length === 2 && parts[0] === "endpoints") {
    query.set("id", decoded(parts[1] ?? ""));
    return { page: "endpoints", id: "", query, path: "/endpoints" };
  }
  const page = parts.length <= 1 ? (parts[0] ?? "home") : "missing";
  if (page === "playground" && query.has("adapter")) {
    const job = query.get("adapter")?.trim();
    query.delete("adapter");
    if (job) query.set("job", job);
  }
  return { page, id: "", query, path };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

type Values = Record<string, string | number | boolean | null | undefined>;

/** `href("/jobs", { status: "running" })` is `#/jobs?status=running`; null, undefined, false and "" are left out. */
export function href(path: string, values: Values = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== false && value !== "")
      query.set(key, String(value));
  }
  const text = query.toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

export function jobHref(id: string, values: Values = {}): string {
  return href(`/jobs/${encodeURIComponent(id)}`, values);
}

/** The hash of the displayed route; `location.hash` is ahead of it until the browser reports a navigation. */
let shownHash = typeof location === "undefined" ? "" : location.hash;
const current = signal<Route>(parseRoute(shownHash));

function show(): void {
  shownHash = location.hash;
  current.value = parseRoute(shownHash);
}

/** The current route; read `.value` in a component to follow it. */
export const route = computed(() => current.value);

type Guard = (leave: () => void) => void;
let guard: Guard | null = null;

/**
 * Blocks navigation: the address is restored, and `ask` receives a function that navigates after all. Returns the
 * release. The page's own listener could not do this: window listeners run in the order they were added.
 */
export function guardRoute(ask: Guard): () => void {
  guard = ask;
  return () => {
    if (guard === ask) guard = null;
  };
}

/** Identifies a page: within a path, `id` and `new` distinguish pages. */
const pageOf = ({ path, query }: Route): string => [path, query.get("id"), query.get("new")].join();

export function startRouter(): void {
  addEventListener("hashchange", (event) => {
    if (guard) {
      const fragment = location.hash;
      history.pushState(null, "", event.oldURL);
      guard(() => {
        guard = null;
        go(fragment);
      });
      return;
    }
    const from = pageOf(current.peek());
    show();
    restorePosition(pageOf(current.peek()) !== from);
  });
}

export function go(target: string): void {
  location.hash = target;
}

/**
 * Changes some of the query's values and keeps the rest, without a new history entry: typing into a filter should not
 * fill the history. A navigation that has started wins.
 */
export function setQuery(values: Values): void {
  if (location.hash !== shownHash) return;
  const { path, query } = current.peek();
  const merged: Values = Object.fromEntries(query);
  Object.assign(merged, values);
  const target = href(path, merged);
  if (target === location.hash) return;
  history.replaceState(history.state, "", target);
  show();
}
