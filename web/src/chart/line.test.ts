import { expect, test } from "vitest";
import { Run } from "../events/run";
import { Line } from "./line";

function feed(run: Run, ...rows: object[]): void {
  for (const row of rows) {
    const bytes = new TextEncoder().encode(JSON.stringify(row));
    run.add("training.log", bytes, 0, bytes.length);
  }
}

const second = (n: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();

test("a line takes its own points, once, and keeps gaps", () => {
  const run = new Run();
  feed(run, { step: 1, loss: 3 }, { step: 2, evalLoss: 2 }, { step: 3, loss: null });
  const line = new Line(run.rows, "loss", "step", 0, 0);
  line.extend();
  line.extend();
  feed(run, { step: 4, loss: 1 });
  line.extend();
  expect([...line.raw.xs]).toEqual([1, 3, 4]);
  expect([...line.raw.ys]).toEqual([3, Infinity, 1]);
  expect([[...line.rows.view()], line.gaps]).toEqual([[0, 2, 3], 1]);
});

test("x is what was asked for; rows that lack it are left out", () => {
  const run = new Run();
  feed(run, { step: 1, loss: 3, epoch: 0.1, timestamp: second(10) }, { step: 2, loss: 2 }, { step: 3, loss: 1, epoch: 0.3, timestamp: second(12) });
  const xs = (mode: "epoch" | "elapsed" | "wall"): number[] => {
    const line = new Line(run.rows, "loss", mode, Date.parse(second(9)), 0);
    line.extend();
    return [...line.raw.xs];
  };
  expect(xs("epoch")).toEqual([0.1, 0.3]);
  expect(xs("elapsed")).toEqual([1000, 3000]);
  expect(xs("wall")).toEqual([Date.parse(second(10)), Date.parse(second(12))]);
});

test("a run that goes back to a checkpoint is put in order, rows and smoothing with it", () => {
  const run = new Run();
  const line = new Line(run.rows, "loss", "step", 0, 0.5);
  feed(run, { step: 1, loss: 1 }, { step: 2, loss: 2 }, { step: 3, loss: 3 });
  line.extend();
  feed(run, { step: 2, loss: 20 }, { step: 4, loss: 4 });
  line.extend();
  expect([...line.raw.xs]).toEqual([1, 2, 2, 3, 4]);
  expect([...line.raw.ys]).toEqual([1, 2, 20, 3, 4]);
  expect([...line.rows.view()]).toEqual([0, 1, 3, 2, 4]);
  expect(line.main.ys.length).toBe(5);
  expect(line.main.ys[0]).toBe(1);
});

test("a run that started over makes its lines outdated", () => {
  const run = new Run();
  feed(run, { step: 1, loss: 1 });
  const line = new Line(run.rows, "loss", "step", 0, 0);
  line.extend();
  expect(line.outdated).toBe(false);
  run.clear();
  expect(line.outdated).toBe(true);
});
