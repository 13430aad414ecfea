import { describe, expect, it } from "vitest";
import type { DatasetLengths } from "../../contract.gen";
import { axisEnd, barsOf, furthest, lossesAt } from "./losses";

/** Rows of 3, 3, 5 and 8 tokens; they learn from place 1, 2, 4 and 7 on to their ends. */
const LENGTHS: DatasetLengths = {
  read: 4,
  rows: [0, 0, 0, 2, 0, 1, 0, 0, 1],
  beyond: 0,
  learned: [0, 1, 2, 0, 1, 0, 0, 1, 0],
  learnedBeyond: 0,
  first: [0, 1, 1, 0, 1, 0, 0, 1, 0],
};

describe("lossesAt", () => {
  it.each([
    [8, { rows: 0, tokens: 0, learned: 0, empty: 0 }],
    [7, { rows: 1, tokens: 1, learned: 1, empty: 1 }],
    [5, { rows: 1, tokens: 3, learned: 1, empty: 1 }],
    [4, { rows: 2, tokens: 5, learned: 2, empty: 2 }],
    [2, { rows: 4, tokens: 11, learned: 4, empty: 3 }],
    [0, { rows: 4, tokens: 19, learned: 5, empty: 4 }],
    [100, { rows: 0, tokens: 0, learned: 0, empty: 0 }],
  ])("at %i", (cut, losses) => expect(lossesAt(LENGTHS, cut)).toEqual(losses));

  it("has what lies behind the counted places", () => {
    const losses = lossesAt({ ...LENGTHS, beyond: 10, learnedBeyond: 4 }, 7);
    expect(losses).toEqual({ rows: 1, tokens: 11, learned: 5, empty: 1 });
  });
});

describe("barsOf", () => {
  it("holds every row once, whatever the width", () => {
    for (const most of [1, 2, 3, 9, 100]) {
      const bars = barsOf(LENGTHS, 12, most);
      expect(bars.length).toBeLessThanOrEqual(Math.max(most, 1));
      expect(bars.reduce((sum, { rows }) => sum + rows, 0)).toBe(4);
    }
  });

  it("is one length a bar where there is room", () => {
    expect(barsOf(LENGTHS, 8, 100).map(({ rows }) => rows)).toEqual(LENGTHS.rows);
  });
});

it("ends the axis at the longest row, or a little beyond a cut that is near", () => {
  const long: DatasetLengths = { ...LENGTHS, read: 101, rows: new Array(101).fill(1) };
  expect(furthest(long)).toBe(100);
  expect(axisEnd(long, 50)).toBe(104);
  expect(axisEnd(long, 150)).toBe(156);
  expect(axisEnd(long, 100_000)).toBe(208);
  const rows = new Array(10_001).fill(0);
  rows[50] = 1000;
  rows[10_000] = 1;
  const outlier: DatasetLengths = { ...LENGTHS, read: 1001, rows };
  expect(axisEnd(outlier, 20)).toBe(104);
  expect(axisEnd(outlier, 512)).toBe(799);
});
