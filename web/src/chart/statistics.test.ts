import { expect, test } from "vitest";
import { statistics, statisticsCells, student95 } from "./statistics";

test("statistics of a known sample, whose gaps don't count", () => {
  const { count, mean, sd, ci, p90, p95 } = statistics([2, 4, 4, NaN, 4, 5, 5, Infinity, 7, 9])!;
  expect([count, mean]).toEqual([8, 5]);
  expect(sd).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(ci).toBeCloseTo((2.365 * Math.sqrt(32 / 7)) / Math.sqrt(8), 12);
  expect([p90, p95]).toEqual([expect.closeTo(7.6, 12), expect.closeTo(8.3, 12)]);
  expect(statistics([4, 7, 13, 16].map((value) => value + 1e9))!.sd).toBeCloseTo(Math.sqrt(30), 6);
});

test("one point has a mean and no spread; none has nothing", () => {
  expect(statistics([3])).toEqual({ count: 1, mean: 3, ci: NaN, sd: NaN, p90: 3, p95: 3 });
  expect(statistics([NaN])).toBeNull();
  expect(statisticsCells([3], "loss")).toEqual(["1", "3.000", "one value"]);
  expect(statisticsCells([3, 3], "loss")).toEqual(["2", "3.000", "constant"]);
});

test("a confidence interval has its mean's decimals, unless it would be zero", () => {
  expect(statisticsCells([2, 4], "loss")![1]).toBe("3.000 ± 12.706");
  expect(statisticsCells([3, 3.00001], "loss")![1]).toBe("3.000 ± 6.35e-5");
  expect(statisticsCells([1e-4, 2e-4], "lr")![1]).toMatch(/^0.00015 ± 0.000635$/);
});

test("Student's t falls to the normal quantile, and the expansion meets the table", () => {
  expect([student95(1), student95(9)]).toEqual([12.706, 2.262]);
  expect([10, 15, 30].map(student95)).toEqual([2.2281, 2.1314, 2.0423].map((t) => expect.closeTo(t, 3)));
  expect(student95(40)).toBeCloseTo(2.0211, 3);
  expect(student95(120)).toBeCloseTo(1.9799, 3);
  expect(student95(1e6)).toBeCloseTo(1.96, 3);
});
