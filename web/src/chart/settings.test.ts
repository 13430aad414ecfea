import { expect, test } from "vitest";
import { DEFAULTS, readSettings, type Settings, writeSettings } from "./settings";

function queryOf(settings: Settings): URLSearchParams {
  const pairs = Object.entries(writeSettings(settings)).filter(([, value]) => value !== null);
  return new URLSearchParams(pairs as [string, string][]);
}

test("defaults don't appear in the address, and everything else survives it", () => {
  expect(String(queryOf(DEFAULTS))).toBe("");
  const all: Settings = {
    x: "wall",
    log: true,
    smooth: 0.95,
    lr: true,
    zoom: [1, 2.5],
    hidden: ["loss", "a"],
  };
  expect(readSettings(queryOf(all))).toEqual(all);
});

test.each([
  [1_767_225_600_123, 1_767_225_600_223],
  [0.000123456789, 0.0001234999],
  [-3, 150_000],
])("a range from %d to %d survives the address to a thousandth of itself", (from, to) => {
  const [first, last] = readSettings(queryOf({ ...DEFAULTS, zoom: [from, to] })).zoom!;
  expect(Math.max(Math.abs(first - from), Math.abs(last - to))).toBeLessThanOrEqual((to - from) / 1000);
});

test.each([
  "x=bogus",
  "smooth=2",
  "smooth=",
  "zoom=5..1",
  "zoom=1..",
  "zoom=a..b",
  "zoom=..",
  "zoom=0..1e999",
])("%s in the address is ignored", (query) =>
  expect(readSettings(new URLSearchParams(query))).toEqual(DEFAULTS),
);
