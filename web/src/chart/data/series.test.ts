import { expect, test } from "vitest";
import { Run } from "../../events/run";
import { Series } from "./series";

function feed(run: Run, ...rows: object[]): void {
  for (const row of rows) {
    run.add("training.log", JSON.stringify(row));
  }
}

const second = (n: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();

test("a line takes its own points, once, and keeps gaps", () => {
  const run = new Run();
  feed(run, { step: 1, loss: 3 }, { step: 2, evalLoss: 2 }, { step: 3, loss: null });
  const line = new Series(run.rows, "loss", "step", 0, 0);
  line.extend();
  line.extend();
  feed(run, { step: 4, loss: 1 });
  line.extend();
  expect([...line.raw.xs]).toEqual([1, 3, 4]);
  expect([...line.raw.ys]).toEqual([3, Infinity, 1]);
  expect([[...line.rows.view()], line.gaps]).toEqual([[0, 2, 3], 1]);
});

test("x is what was asked for; rows that lack it are left out, but for an epoch that their neighbours tell", () => {
  const run = new Run();
  feed(
    run,
    { step: 1, loss: 3, epoch: 0.1, timestamp: second(10) },
    { step: 2, loss: 2 },
    { step: 3, loss: 1, epoch: 0.3, timestamp: second(12) },
  );
  const xs = (mode: "epoch" | "elapsed" | "wall"): number[] => {
    const line = new Series(run.rows, "loss", mode, Date.parse(second(9)), 0);
    line.extend();
    return [...line.raw.xs];
  };
  expect(xs("epoch")).toEqual([0.1, 0.2, 0.3]);
  expect(xs("elapsed")).toEqual([1000, 3000]);
  expect(xs("wall")).toEqual([Date.parse(second(10)), Date.parse(second(12))]);
});

test("a run that goes back to a checkpoint replaces what it does again, and keeps it apart", () => {
  const run = new Run();
  const line = new Series(run.rows, "loss", "step", 0, 0.5);
  feed(run, { step: 1, loss: 1 }, { step: 2, loss: 2 }, { step: 3, loss: 3 });
  line.extend();
  feed(run, { step: 2, loss: 20 }, { step: 4, loss: 4 }, { step: 4, loss: 5 });
  line.extend();
  expect([...line.raw.xs]).toEqual([1, 2, 4, 4]);
  expect([...line.raw.ys]).toEqual([1, 20, 4, 5]);
  expect([...line.rows.view()]).toEqual([0, 3, 4, 5]);
  expect(line.earlier.map(({ xs, ys }) => [[...xs], [...ys]])).toEqual([
    [
      [2, 3],
      [2, 3],
    ],
  ]);
  const fresh = new Series(run.rows, "loss", "step", 0, 0.5);
  fresh.extend();
  expect([...line.main.ys]).toEqual([...fresh.main.ys]);
  expect(line.main.ys).toHaveLength(4);
  const timed = new Series(run.rows, "loss", "wall", 0, 0);
  timed.extend();
  expect(timed.earlier).toEqual([]);
});

test("rows that are logged out of order all the time are put in order, rows and smoothing with them", () => {
  const run = new Run();
  const line = new Series(run.rows, "loss", "step", 0, 0.5);
  for (let step = 2; step <= 200; step += 2)
    feed(run, { step, loss: step }, { step: step - 1, loss: step - 1 });
  line.extend();
  feed(run, { step: 50.5, loss: 0 });
  line.extend();
  expect(line.earlier).toEqual([]);
  expect([...line.raw.xs]).toEqual([...line.raw.xs].sort((a, b) => a - b));
  expect(line.main.ys).toHaveLength(201);
  expect(line.rows.at(50)).toBe(200);
});

test("an evaluation that tells no epoch stands where its step does", () => {
  const run = new Run();
  for (let step = 1; step <= 20; step++)
    feed(run, step % 5 ? { step, loss: 1, epoch: step / 10 } : { step, evalLoss: 2 });
  const line = new Series(run.rows, "evalLoss", "epoch", 0, 0);
  line.extend();
  expect([...line.raw.xs].map((x) => Number(x.toFixed(6)))).toEqual([0.5, 1, 1.5, 2]);
});

test("a run that started over makes its lines outdated", () => {
  const run = new Run();
  feed(run, { step: 1, loss: 1 });
  const line = new Series(run.rows, "loss", "step", 0, 0);
  line.extend();
  expect(line.outdated).toBe(false);
  run.clear();
  expect(line.outdated).toBe(true);
});

test("a branch begins at the step where it left its parent, on the step axis alone", () => {
  const run = new Run();
  feed(run, { step: 1, loss: 3, timestamp: second(5) }, { step: 2, loss: 2, timestamp: second(6) });
  const xs = (mode: "step" | "elapsed"): number[] => {
    const line = new Series(run.rows, "loss", mode, Date.parse(second(5)), 0, 20);
    line.extend();
    return [...line.raw.xs];
  };
  expect([xs("step"), xs("elapsed")]).toEqual([
    [21, 22],
    [0, 1000],
  ]);
});
