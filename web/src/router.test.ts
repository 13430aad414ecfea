import { afterEach, describe, expect, it, vi } from "vitest";
import { href, jobHref, parseRoute } from "./router";

describe("parseRoute", () => {
  it.each([
    ["", "home", ""],
    ["#/", "home", ""],
    ["#/jobs", "jobs", ""],
    ["#/jobs/", "jobs", ""],
    ["#/jobs/a%2Fb", "jobs/", "a/b"],
    ["#/jobs/%E0%A4%A", "jobs/", "%E0%A4%A"],
    ["#/compare?jobs=a,b", "compare", ""],
    ["#/jobs/a/b", "missing", ""],
  ])("%s is the page %s", (hash, page, id) => {
    const route = parseRoute(hash);
    expect([route.page, route.id]).toEqual([page, id]);
  });

  it.each([
    ["#/endpoints/a%2Fb", "endpoints", "/endpoints", "id=a%2Fb"],
    ["#/endpoints/a/b", "missing", "/endpoints/a/b", ""],
    ["#/playground?adapter=j1", "playground", "/playground", "job=j1"],
    ["#/playground/?adapter=%20", "playground", "/playground/", ""],
    ["#/playground?adapter=j1&target=final%3Aj2", "playground", "/playground", "target=final%3Aj2&job=j1"],
  ])("%s, as `arkor dev` links to it, is ours", (hash, page, path, query) => {
    const route = parseRoute(hash);
    expect([route.page, route.path, route.query.toString()]).toEqual([page, path, query]);
  });

  it("keeps the query apart from the path", () => {
    const route = parseRoute("#/jobs?status=failed&q=a%20b");
    expect(route.path).toBe("/jobs");
    expect(route.query.get("q")).toBe("a b");
  });
});

describe("href", () => {
  it("leaves out what says nothing", () => {
    expect(href("/jobs", { q: "", status: null, sort: undefined, mine: false })).toBe("#/jobs");
    expect(href("/jobs", { page: 0 })).toBe("#/jobs?page=0");
  });

  it("survives a round trip through a hostile id", () => {
    const id = 'a/b?c#d"<é';
    expect(parseRoute(jobHref(id)).id).toBe(id);
  });
});

describe("setQuery", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("does not undo a navigation that has just begun", async () => {
    const address = { hash: "#/playground?chat=1" };
    vi.stubGlobal("location", address);
    vi.stubGlobal("history", {
      state: null,
      replaceState: (_: unknown, __: string, url: string) => (address.hash = url),
    });
    vi.resetModules();
    const router = await import("./router");
    router.setQuery({ chat: 2 });
    expect(address.hash).toBe("#/playground?chat=2");
    expect(router.route.value.query.get("chat")).toBe("2");
    // A link was pressed, and the browser has not reported it yet.
    address.hash = "#/jobs/a";
    router.setQuery({ chat: 3 });
    expect(address.hash).toBe("#/jobs/a");
  });
});
