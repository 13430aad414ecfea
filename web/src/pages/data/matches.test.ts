import { expect, it } from "vitest";
import { positionOf } from "./matches";

it("finds a row among the matches, or the next one", () => {
  const rows = [2, 5, 9];
  expect([1, 2, 3, 5, 9, 10].map((row) => positionOf(rows, row))).toEqual([0, 0, 1, 1, 2, 3]);
  expect(positionOf([], 4)).toBe(0);
});
