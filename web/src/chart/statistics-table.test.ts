import { expect, test } from "vitest";
import { statisticsCells } from "./statistics-table";

const of = (values: number[], metric: "loss" | "lr" = "loss"): readonly string[] | null =>
  statisticsCells(Float64Array.from(values), 0, values.length, metric);

test("a curve of several values has them all", () => {
  expect(of([1, 2, 3, 4])).toEqual(["4", "2.500 ± 2.054", "1.291", "1.667", "3.700", "3.850"]);
});

test("one value is told as itself, and a constant as constant: neither has a spread", () => {
  expect(of([0.588])).toEqual(["1", "0.5880", "one value"]);
  expect(of([0.588, Infinity])).toEqual(["1", "0.5880", "one value"]);
  expect(of([1e-4, 1e-4, 1e-4], "lr")).toEqual(["3", "0.0001", "constant"]);
  expect(of(new Array<number>(3000).fill(0.1))).toEqual(["3,000", "0.1000", "constant"]);
});

test("a curve without a value in the range has no row", () => {
  expect(of([])).toBeNull();
  expect(of([Infinity])).toBeNull();
});
