import { expect, it } from "vitest";
import { moved, rowAt } from "./queue-order";

it.each([
  [0, 2, "bca"],
  [2, 0, "cab"],
  [1, 5, "acb"],
  [1, -3, "bac"],
])("from %i to %i", (from, to, order) => expect(moved([..."abc"], from, to).join("")).toBe(order));

it("is the same list where nothing moves", () => {
  const list = [..."abc"];
  expect([moved(list, 1, 1), moved(list, 0, -1), moved(list, 7, 0)].every((order) => order === list)).toBe(
    true,
  );
});

it("finds the row below a pointer", () => {
  expect([-5, 10, 11, 99].map((y) => rowAt(y, [10, 30, 50]))).toEqual([0, 0, 1, 3]);
});
