import { expect, test } from "vitest";
import { Run } from "../events/run";
import {
  bisect,
  extent,
  type Series,
  seriesOf,
  smoothed,
  smoothingWeight,
  type Track,
  within,
} from "./series";
import { DEFAULTS, type XMode } from "./settings";

const second = (n: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
const ORIGIN = Date.parse(second(5));

function runOf(...rows: object[]): Run {
  const run = new Run();
  for (const row of rows) run.add("training.log", JSON.stringify(row));
  return run;
}

const trackOf = ({ rows }: Run, metric = "loss", shift = 0): Track => ({
  key: metric,
  label: metric,
  rows,
  metric,
  origin: ORIGIN,
  shift,
  tone: "--accent",
});

const lossOf = (run: Run, mode: XMode = "step", weight = 0): Series => seriesOf(trackOf(run), mode, weight);

test("rows without the value are left out, and values that are not numbers are gaps", () => {
  const series = lossOf(
    runOf({ step: 1, loss: 3 }, { step: 2, evalLoss: 2 }, { step: 3, loss: null }, { step: 4, loss: 1 }),
  );
  expect(series).toMatchObject({ xs: [1, 3, 4], ys: [3, Infinity, 1], rows: [0, 2, 3], gaps: 1 });
  expect(lossOf(runOf({ step: 1, loss: 1e300 }, { step: 2, loss: -1e300 })).gaps).toBe(2);
});

test("rows without the requested x are left out; a missing epoch is derived from the rows before", () => {
  const run = runOf(
    { step: 1, loss: 3, epoch: 0.1, timestamp: second(6) },
    { step: 2, loss: 2 },
    { step: 3, loss: 1, epoch: 0.3, timestamp: second(8) },
  );
  expect(lossOf(run, "epoch").xs).toEqual([0.1, 0.2, 0.3]);
  expect(lossOf(run, "elapsed")).toMatchObject({ xs: [1000, 3000], placeless: true });
  expect(lossOf(run, "wall").xs).toEqual([Date.parse(second(6)), Date.parse(second(8))]);
});

test("steps of a resumed run replace the earlier ones, which are kept apart", () => {
  const rows = [1, 2, 3].map((step) => ({ step, loss: step }));
  const again = [
    { step: 2, loss: 20 },
    { step: 4, loss: 4 },
    { step: 4, loss: 5 },
  ];
  const run = runOf(...rows, ...again);
  const series = lossOf(run, "step", 0.5);
  expect(series).toMatchObject({ xs: [1, 2, 4, 4], ys: [1, 20, 4, 5], rows: [0, 3, 4, 5] });
  expect(series.earlier).toEqual([{ xs: [2, 3], ys: [2, 3] }]);
  expect(series.smooth).toEqual(smoothed([1, 20, 4, 5], 0.5));
  expect(lossOf(run, "wall").earlier).toEqual([]);
});

test("a run that logs out of order all the time is sorted, its rows with it", () => {
  const rows = Array.from({ length: 100 }, (_, k) => [2 * k + 2, 2 * k + 1]).flat();
  const series = lossOf(runOf(...rows.map((step) => ({ step, loss: step })), { step: 50.5, loss: 0 }));
  expect(series.earlier).toEqual([]);
  expect(series.xs).toEqual(series.xs.toSorted((a, b) => a - b));
  expect(series.rows[50]).toBe(200);
});

test("a branch begins at the step where it left its parent, on the step axis only", () => {
  const run = runOf({ step: 1, loss: 3, timestamp: second(5) }, { step: 2, loss: 2, timestamp: second(6) });
  expect(seriesOf(trackOf(run, "loss", 20), "step", 0).xs).toEqual([21, 22]);
  expect(seriesOf(trackOf(run, "loss", 20), "elapsed", 0).xs).toEqual([0, 1000]);
});

test("smoothing is TensorBoard's: debiased from the first point on, not moved by gaps", () => {
  const expected = [10, 4 * 0.6, 2.4 * 0.6 + 2].map((sum, k) => (k === 0 ? 10 : sum / (1 - 0.6 ** (k + 1))));
  expect(smoothed([10, 0, 5], 0.6)).toEqual(expected.map((value) => expect.closeTo(value, 10)));
  expect(smoothed([2, 2, Infinity, 2], 0.97)).toEqual(
    [2, 2, Infinity, 2].map((value) => expect.closeTo(value, 10)),
  );
});

test("short runs are smoothed only if requested", () => {
  const track = (step: number): Track => trackOf(runOf({ step, loss: 1 }));
  expect(smoothingWeight(DEFAULTS, [track(99)])).toBe(0);
  expect(smoothingWeight(DEFAULTS, [track(10), track(100)])).toBe(0.6);
  expect(smoothingWeight(DEFAULTS, [track(10)], 400)).toBe(0.6);
  expect(smoothingWeight({ ...DEFAULTS, smooth: 0.9 }, [track(10)])).toBe(0.9);
  expect(smoothingWeight({ ...DEFAULTS, smooth: 0 }, [track(400)])).toBe(0);
});

test("bisection finds the ends of a range among repeated values, and its extent ignores gaps", () => {
  const xs = [1, 2, 2, 2, 5, 7, 7];
  for (let x = 0; x <= 8; x += 0.5) expect(bisect(xs, x)).toBe(xs.filter((other) => other < x).length);
  expect([within(xs, 2, 5), within(xs, 3, 4)]).toEqual([
    [1, 5],
    [4, 4],
  ]);
  const ys = [NaN, 3, -1, Infinity, 0, 2];
  expect([extent(ys, 0, 6), extent(ys, 0, 6, true), extent(ys, 0, 1)]).toEqual([
    [-1, 3],
    [2, 3],
    [Infinity, -Infinity],
  ]);
});
