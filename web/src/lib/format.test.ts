import { describe, expect, it } from "vitest";
import {
  absolute,
  bytes,
  clock,
  day,
  duration,
  loss,
  modelName,
  number,
  plural,
  rate,
  relative,
} from "./format";

describe("duration", () => {
  it.each([
    [0, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min 00 s"],
    [3_599_000, "59 min 59 s"],
    [3_840_000, "1 h 04 min"],
    [90_000_000, "1 d 01 h"],
    [-1, "–"],
    [Number.NaN, "–"],
    [null, "–"],
  ])("%s ms", (ms, words) => expect(duration(ms)).toBe(words));
});

describe("relative", () => {
  const now = Date.parse("2026-11-25T12:00:00Z");
  it.each([
    ["2026-11-25T12:00:05Z", "now"],
    ["2026-11-25T12:05:00Z", "in 5 min"],
    ["2026-11-25T15:00:00Z", "in 3 h"],
    ["2026-11-28T12:00:00Z", "in 3 d"],
    ["2027-01-02T12:00:00Z", "2 Jan 2027"],
    ["2026-11-25T11:59:48Z", "12 s ago"],
    ["2026-11-25T11:00:01Z", "59 min ago"],
    ["2026-11-25T09:00:00Z", "3 h ago"],
    ["2026-11-20T12:00:00Z", "5 d ago"],
    ["2026-11-12T12:00:00Z", "12 Nov"],
    ["2025-11-12T12:00:00Z", "12 Nov 2025"],
    ["yesterday", "–"],
    [null, "–"],
  ])("%s", (iso, words) => expect(relative(iso, now)).toBe(words));
});

describe("times in the reader's zone", () => {
  const at = new Date(2026, 8, 3, 4, 5, 6);
  it("in full", () => expect(absolute(at.toISOString())).toBe("3 Sep 2026, 04:05:06"));
  it("is nothing for no time", () => expect([absolute("soon"), absolute(null)]).toEqual(["", ""]));
  it("as a day", () =>
    expect([day(at.getTime()), day(at.getTime(), false)]).toEqual(["3 Sep 2026", "3 Sep"]));
  it("as a clock", () =>
    expect([clock(at.getTime()), clock(at.getTime(), false)]).toEqual(["04:05:06", "04:05"]));
});

describe("numbers", () => {
  it.each([
    [0.43211, "0.4321"],
    [2.6149, "2.615"],
    [12.346, "12.35"],
    [123.45, "123.5"],
    [0, "0.0000"],
    [1e-7, "1.00e-7"],
    [1e9, "1.00e+9"],
    [Number.POSITIVE_INFINITY, "–"],
  ])("loss %s", (value, words) => expect(loss(value)).toBe(words));

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [3_712_000, "3.7 MB"],
    [269_000_000, "269 MB"],
    [999_600_000, "1.0 GB"],
  ])("%s bytes", (value, words) => expect(bytes(value)).toBe(words));

  it.each([
    [0.0005, "0.0005"],
    [0.00012345, "0.000123"],
    [2e-5, "2e-5"],
    [1.23456e-5, "1.23e-5"],
    [0, "0"],
  ])("rate %s", (value, words) => expect(rate(value)).toBe(words));

  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [-1234567, "-1,234,567"],
    [1234.5678, "1,234.568"],
    [2.34, "2.34"],
    [Number.NaN, "–"],
  ])("number %s", (value, words) => expect(number(value)).toBe(words));

  it("keeps the decimals asked for", () =>
    expect([number(12_000, 2), number(0.5, 0)]).toEqual(["12,000.00", "1"]));

  it("counts one and many", () => {
    expect([plural(1, "step"), plural(1200, "step")]).toEqual(["1 step", "1,200 steps"]);
  });

  it("shortens a model's path", () => {
    expect(["Qwen/Qwen3-0.6B", "/models/smollm2/", "smollm2-135m", ""].map(modelName)).toEqual([
      "Qwen3-0.6B",
      "smollm2",
      "smollm2-135m",
      "–",
    ]);
  });
});
