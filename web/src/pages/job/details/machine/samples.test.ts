import { expect, test } from "vitest";
import { Rows } from "../../../../events/rows";
import { placesOf, Samples } from "./samples";

const bytes = (data: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(data));
const at = (second: number): string => new Date(second * 1000).toISOString();

function rowsOf(...points: [step: number, second: number, epoch?: number][]): Rows {
  const rows = new Rows();
  for (const [step, second, epoch = NaN] of points)
    rows.add(step, second * 1000, epoch, 1, NaN, NaN, NaN, NaN);
  return rows;
}

test("takes each sample once, and leaves out what is no figure", () => {
  const events = [bytes({ timestamp: at(1), cpu: 0.5, memory: 7 }), bytes({ timestamp: at(3), cpu: "high" })];
  const samples = new Samples();
  samples.extend(events);
  events.push(
    bytes({ timestamp: "soon", cpu: 1 }),
    bytes([1]),
    new Uint8Array([123]),
    bytes({ timestamp: at(5), cpu: 1 }),
  );
  samples.extend(events);
  expect([...samples.times.view()]).toEqual([1000, 3000, 5000]);
  expect([...samples.columns.get("cpu")!.view()]).toEqual([0.5, NaN, 1]);
  expect(samples.has("memory")).toBe(true);
  expect(samples.has("gpu")).toBe(false);
});

test("begins anew with a run that does", () => {
  const samples = new Samples();
  samples.extend([bytes({ timestamp: at(1), cpu: 0.5 }), bytes({ timestamp: at(2), cpu: 0.5 })]);
  const others = [
    bytes({ timestamp: at(7) }),
    bytes({ timestamp: at(8) }),
    bytes({ timestamp: at(9), cpu: 1 }),
  ];
  samples.extend(others);
  expect([...samples.times.view()]).toEqual([7000, 8000, 9000]);
  expect([...samples.columns.get("cpu")!.view()]).toEqual([NaN, NaN, 1]);
});

test("a sample stands between the steps around it", () => {
  const rows = rowsOf([10, 20], [20, 40]);
  const times = Float64Array.from([0, 10, 20, 25, 40, 50, 500], (second) => second * 1000);
  // The last two are after the last row: at its pace, and by one row's distance at most.
  expect([...placesOf(times, rows, "step", 0, 0)]).toEqual([0, 5, 10, 12.5, 20, 25, 30]);
});

test("epochs count where rows tell them, clock and elapsed time always", () => {
  const rows = rowsOf([10, 20, 1], [15, 30], [20, 40, 2]);
  const times = Float64Array.from([30_000, 35_000]);
  expect([...placesOf(times, rows, "epoch", 0, 0)]).toEqual([1.5, 1.75]);
  expect([...placesOf(times, rows, "wall", 5000, 0)]).toEqual([30_000, 35_000]);
  expect([...placesOf(times, rows, "elapsed", 5000, 0)]).toEqual([25_000, 30_000]);
});

test("places never go back, whatever the rows do", () => {
  const rows = rowsOf([10, 20], [20, 40], [11, 50], [5, 30], [12, 60], [30, 80]);
  const times = Float64Array.from({ length: 90 }, (_, second) => second * 1000);
  const places = [...placesOf(times, rows, "step", 0, 0)];
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places.every(Number.isFinite)).toBe(true);
});

test("without a row there is no step", () => {
  expect([...placesOf(Float64Array.of(1000), new Rows(), "step", 0, NaN)]).toEqual([NaN]);
  expect([...placesOf(Float64Array.of(1000), new Rows(), "step", 0, 500)]).toEqual([0]);
});
