import { expect, test } from "vitest";

// As text: some records import their page, which needs a document.
const RECORDS = import.meta.glob<string>("./*/page.ts", { eager: true, query: "?raw", import: "default" });

const all = (pattern: RegExp): string[] =>
  Object.values(RECORDS).flatMap((text) => [...text.matchAll(pattern)].map((found) => found[1] ?? ""));

test.each([
  ["place in the bar", /\bat: (\d+)/g],
  ["key after g", /\bkey: "(\w)"/g],
  ["label", /\blabel: "([^"]+)"/g],
])("no two pages have the same %s", (_, pattern) => {
  const found = all(pattern);
  expect(found.length).toBeGreaterThan(1);
  expect(new Set(found).size).toBe(found.length);
});

test("a page within another is within one that has a link", () => {
  for (const name of new Set(all(/\bwithin: "([^"]+)"/g)))
    expect(RECORDS[`./${name}/page.ts`]).toContain("link:");
});
