import { describe, expect, it } from "vitest";
import { rangeOf } from "./virtual-list";

describe("rangeOf", () => {
  it("draws the visible rows and a few around them", () => {
    expect(rangeOf(2000, 400, 20, 10_000)).toEqual({ start: 92, end: 128 });
  });

  it("stays inside the list at both ends", () => {
    expect(rangeOf(0, 400, 20, 10_000)).toEqual({ start: 0, end: 28 });
    expect(rangeOf(199_600, 400, 20, 10_000)).toEqual({ start: 9972, end: 10_000 });
  });

  it("draws the end of a list that has become shorter than the place it is scrolled to", () => {
    const { start, end } = rangeOf(5000, 400, 20, 3);
    expect([start <= end, end]).toEqual([true, 3]);
  });

  it("draws a few rows of a list that begins below the window, and none of an empty one", () => {
    expect(rangeOf(-900, 400, 20, 100).end).toBeLessThanOrEqual(8);
    expect(rangeOf(0, 400, 20, 0)).toEqual({ start: 0, end: 0 });
  });
});
