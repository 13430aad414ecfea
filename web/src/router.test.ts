import { describe, expect, it } from "vitest";
import { href, jobHref, parseRoute } from "./router";

describe("parseRoute", () => {
  it.each([
    ["", "home", ""],
    ["#/", "home", ""],
    ["#/jobs", "jobs", ""],
    ["#/jobs/", "jobs", ""],
    ["#/jobs/a%2Fb", "job", "a/b"],
    ["#/jobs/%E0%A4%A", "job", "%E0%A4%A"],
    ["#/compare?jobs=a,b", "compare", ""],
    ["#/nothing", "missing", ""],
    ["#/jobs/a/b", "missing", ""],
    ["#/constructor", "missing", ""],
  ])("%s is the page %s", (hash, page, id) => {
    const route = parseRoute(hash);
    expect([route.page, route.id]).toEqual([page, id]);
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
