import { expect, test } from "vitest";
import { type Curve, extent, lowerBound, within } from "../data/curve";
import { pathOf } from "./path";
import { linearScale, logScale } from "./scale";

function curve(ys: number[], xs = ys.map((_, index) => index)): Curve {
  return { xs: Float64Array.from(xs), ys: Float64Array.from(ys), length: ys.length };
}

const numbers = (d: string): number[][] =>
  (d.match(/[ML][^ML]+/g) ?? []).map((part) => part.slice(1).split(" ").map(Number));

test("every spike is drawn, however many points share a column, at every zoom", () => {
  const size = 150_000;
  const noisy = curve(Array.from({ length: size }, (_, i) => 1 + 0.1 * Math.sin(i)));
  for (const at of [3, 77_777, 149_998]) {
    noisy.ys[at] = 9;
    noisy.ys[at + 1] = -9;
  }
  const y = linearScale(-10, 10, 300, 0);
  for (const [from, to] of [
    [0, size],
    [77_000, 78_500],
    [77_777, 77_779],
  ] as const) {
    const x = linearScale(from, to, 0, 1000);
    const { d } = pathOf(noisy, x, y);
    const points = numbers(d);
    expect(points.length, `${from} to ${to}`).toBeLessThanOrEqual(2 * 1004);
    for (const at of [3, 77_777, 149_998].filter((at) => at >= from && at <= to)) {
      expect(
        points.some(([px, py]) => Math.abs(px! - x.map(at)) < 1.1 && Math.abs(py! - y.map(9)) < 0.1),
      ).toBe(true);
    }
    if (to - from > 2) expect(points.some(([, py]) => Math.abs(py! - y.map(-9)) < 0.1)).toBe(true);
  }
});

test("a column holds its lowest and highest in the order they came", () => {
  const x = linearScale(0, 100, 0, 10);
  const y = linearScale(0, 10, 0, 10);
  expect(pathOf(curve([5, 9, 1, 5]), x, y).d).toBe("M0.1 9L0.2 1");
  expect(pathOf(curve([5, 1, 9, 5]), x, y).d).toBe("M0.1 1L0.2 9");
});

test("gaps break the line, and a point alone between two is a dot", () => {
  const x = linearScale(0, 6, 0, 600);
  const y = linearScale(0, 10, 0, 10);
  const { d, dots } = pathOf(curve([1, 2, NaN, 3, Infinity, 4, 5]), x, y);
  expect(d).toBe("M0 1L100 2M500 4L600 5");
  expect(dots).toEqual([[300, 3]]);
});

test("values with gaps all between them make no more shapes than there are columns, and lose no spike", () => {
  const gappy = curve(
    Array.from({ length: 150_000 }, (_, i) => (i % 2 ? NaN : i === 77_776 ? 9 : Math.sin(i))),
  );
  const x = linearScale(0, 150_000, 0, 1000);
  const y = linearScale(-10, 10, 300, 0);
  const { d, dots } = pathOf(gappy, x, y);
  expect(numbers(d).length + dots.length).toBeLessThanOrEqual(2 * 1001);
  expect(numbers(d).some(([, py]) => Math.abs(py! - y.map(9)) < 0.1)).toBe(true);
});

test("zero and below are gaps on a log scale", () => {
  const { d } = pathOf(curve([1, 0, 1, 10, -1]), linearScale(0, 4, 0, 4), logScale(1, 10, 0, 100));
  expect(d).toBe("M2 0L3 100");
});

test("lines run on to the edge, but not a million pixels beyond it", () => {
  const y = linearScale(0, 100, 0, 100);
  const { d } = pathOf(
    curve([0, 50, 100], [0, 500_000, 1_000_000]),
    linearScale(499_999, 500_001, 0, 1000),
    y,
  );
  const points = numbers(d);
  expect(points.length).toBe(3);
  expect(points.every(([px]) => px! >= -9 && px! <= 1009)).toBe(true);
  expect(points.map(([, py]) => py)).toEqual([50, 50, 50]);
});

test("nothing gives an empty path", () => {
  expect(pathOf(curve([]), linearScale(0, 1, 0, 1), linearScale(0, 1, 0, 1))).toEqual({ d: "", dots: [] });
  expect(pathOf(curve([NaN, NaN]), linearScale(0, 1, 0, 1), linearScale(0, 1, 0, 1))).toEqual({
    d: "",
    dots: [],
  });
});

test("bisection agrees with a search one by one, repeated x included", () => {
  const xs = [1, 2, 2, 2, 5, 7, 7];
  const line = curve(xs, xs);
  for (let x = 0; x <= 8; x += 0.5)
    expect(lowerBound(line.xs, line.length, x)).toBe(xs.filter((other) => other < x).length);
  expect(within(line, 2, 5)).toEqual([1, 5]);
  expect(within(line, 3, 4)).toEqual([4, 4]);
});

test("the extent passes over what is no point", () => {
  const { ys } = curve([NaN, 3, -1, Infinity, 0, 2]);
  expect(extent(ys, 0, 6, false)).toEqual([-1, 3]);
  expect(extent(ys, 0, 6, true)).toEqual([2, 3]);
  expect(extent(ys, 0, 1, false)).toEqual([Infinity, -Infinity]);
});
