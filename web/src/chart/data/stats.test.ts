import { expect, test } from "vitest";
import { Numbers } from "../../events/number-array";
import { Smoothing } from "./ema";
import { quantile, statistics, student95 } from "./stats";

const numbers = (values: number[]): Numbers => {
  const all = new Numbers();
  for (const value of values) all.push(value);
  return all;
};

test("statistics of a known sample", () => {
  const stats = statistics(Float64Array.from([99, 2, 4, 4, NaN, 4, 5, 5, Infinity, 7, 9, 99]), 1, 11)!;
  expect([stats.count, stats.mean]).toEqual([8, 5]);
  expect(stats.sd).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(stats.ci).toBeCloseTo((2.365 * Math.sqrt(32 / 7)) / Math.sqrt(8), 12);
  expect([stats.p90, stats.p95]).toEqual([expect.closeTo(7.6, 12), expect.closeTo(8.3, 12)]);
});

test("one point has a mean and no spread; none has nothing", () => {
  expect(statistics(Float64Array.of(3), 0, 1)).toEqual({
    count: 1,
    mean: 3,
    ci: NaN,
    sd: NaN,
    p90: 3,
    p95: 3,
  });
  expect(statistics(Float64Array.of(NaN), 0, 1)).toBeNull();
  expect(statistics(Float64Array.of(1, 2), 1, 1)).toBeNull();
});

test("the spread survives a large mean", () => {
  const values = Float64Array.from([4, 7, 13, 16].map((value) => value + 1e9));
  expect(statistics(values, 0, 4)!.sd).toBeCloseTo(Math.sqrt(30), 6);
});

test("quantiles interpolate as NumPy does", () => {
  const sorted = Float64Array.of(1, 2, 3, 4);
  expect([0, 0.25, 0.5, 0.9, 1].map((part) => quantile(sorted, part))).toEqual([
    1,
    1.75,
    2.5,
    expect.closeTo(3.7, 12),
    4,
  ]);
  expect(quantile(new Float64Array(0), 0.5)).toBeNaN();
});

test("quantiles without sorting are those of the sorted values, whatever their order", () => {
  let seed = 5;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const shapes = [
    () => random(),
    (_: unknown, i: number) => i,
    (_: unknown, i: number) => -i,
    () => 3,
    () => Math.floor(random() * 4),
  ];
  for (const shape of shapes) {
    for (const size of [1, 2, 3, 10, 997]) {
      const values = Float64Array.from({ length: size }, shape);
      const sorted = values.slice().sort();
      for (const part of [0, 0.1, 0.5, 0.9, 0.95, 1]) {
        const at = (size - 1) * part;
        const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
        expect(quantile(values, part)).toBeCloseTo(low + (high - low) * (at % 1), 12);
      }
    }
  }
});

test("Student's t falls to the normal quantile, and the expansion meets the table", () => {
  expect(student95(1)).toBe(12.706);
  expect(student95(30)).toBe(2.042);
  expect(student95(40)).toBeCloseTo(2.0211, 3);
  expect(student95(120)).toBeCloseTo(1.9799, 3);
  expect(student95(1e6)).toBeCloseTo(1.96, 3);
});

test("smoothing is TensorBoard's: debiased from the first point on", () => {
  const smoothing = new Smoothing(0.6);
  smoothing.extend(numbers([10, 0, 5]));
  const [a, b, c] = [0.4 * 10, 0.6 * 4, 0.6 * 2.4 + 0.4 * 5];
  expect([...smoothing.values.view()].map((v) => Number(v.toFixed(10)))).toEqual(
    [a / (1 - 0.6), b / (1 - 0.36), c / (1 - 0.216)].map((v) => Number(v.toFixed(10))),
  );
});

test("a constant stays what it is, and a gap neither moves the average nor is filled", () => {
  const smoothing = new Smoothing(0.97);
  smoothing.extend(numbers([2, 2, Infinity, 2]));
  const values = [...smoothing.values.view()];
  expect(values[2]).toBe(Infinity);
  for (const at of [0, 1, 3]) expect(values[at]).toBeCloseTo(2, 12);
});

test("extending in pieces gives what all at once gives", () => {
  const all = Array.from({ length: 200 }, (_, i) => Math.sin(i * 1.7));
  const full = new Smoothing(0.9);
  full.extend(numbers(all));
  const source = new Numbers();
  const pieces = new Smoothing(0.9);
  for (const value of all) {
    source.push(value);
    pieces.extend(source);
  }
  expect([...pieces.values.view()]).toEqual([...full.values.view()]);
});
