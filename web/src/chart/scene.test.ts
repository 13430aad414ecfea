import { expect, test } from "vitest";
import { Run } from "../events/run";
import { panned, stepAlong, zoomed } from "./input";
import { closestHit, hitsAt, padded, type Scene, type SceneInput, scaleOf, sceneOf } from "./scene";
import { type Series, seriesOf } from "./series";
import { DEFAULTS, type Settings } from "./settings";
import { CHARACTER, textAnchor } from "./ticks";
import { nearestHits } from "./tooltip";

const ORIGIN = Date.UTC(2026, 0, 1);
const at = (seconds: number): string => new Date(ORIGIN + seconds * 1000).toISOString();

function runOf(count: number, loss = (step: number): number | null => 3 / step): Run {
  const run = new Run();
  for (let step = 1; step <= count; step++) {
    const row = { step, loss: loss(step), epoch: step / 10, timestamp: at(step) };
    run.add("training.log", JSON.stringify(row));
  }
  return run;
}

function seriesFrom({ rows }: Run, metric: string, { x, smooth }: Settings): Series {
  return seriesOf(
    { key: metric, label: metric, rows, metric, origin: ORIGIN, tone: "--accent" },
    x,
    smooth ?? 0,
  );
}

function inputOf(run: Run, change: Partial<Settings> = {}, metrics = ["loss"]): SceneInput {
  const settings = { ...DEFAULTS, ...change };
  const checkpoints = [20, 21, 40].map((step) => ({ step, time: ORIGIN + step * 1000, artifacts: [] }));
  const all = metrics.map((metric) => seriesFrom(run, metric, settings));
  return { all, settings, width: 1000, height: 340, checkpoints };
}

const sceneFor = (run: Run, change?: Partial<Settings>, metrics?: string[]): Scene =>
  sceneOf(inputOf(run, change, metrics));
const lineOf = (...args: Parameters<typeof sceneFor>) => sceneFor(...args).lines[0]!;
const visible = ({ x }: Scene): number[] => [x.from, x.to];

test("scales map and invert, in both directions, linear and logarithmic", () => {
  const y = scaleOf([0, 4], 300, 20);
  expect([y.map(0), y.map(4), y.map(1)]).toEqual([300, 20, 230]);
  const log = scaleOf([0.01, 100], 0, 400, true);
  expect([log.map(0.01), log.map(1), log.map(100)].map(Math.round)).toEqual([0, 200, 400]);
  for (const scale of [y, log]) expect(scale.invert(scale.map(0.37))).toBeCloseTo(0.37, 10);
  expect([log.map(0), log.map(-1)].some(Number.isFinite)).toBe(false);
  expect(scaleOf([5, 5], 0, 100).map(5)).toBe(0);
});

test("an axis has room around the curve, and does not go below zero without need", () => {
  expect(padded([1, 2], false)).toEqual([0.94, 2.06]);
  expect(padded([0.01, 2], false)[0]).toBe(0);
  expect(padded([-1, 1], false)).toEqual([-1.12, 1.12]);
  expect([padded([3, 3], false), padded([0, 0], false)]).toEqual([
    [1.5, 4.5],
    [-0.5, 0.5],
  ]);
  expect(padded([1, 100], true).map(Math.log10)).toEqual([-0.12, 2.12].map((n) => expect.closeTo(n, 9)));
  const none = [Infinity, -Infinity] as const;
  expect([padded(none, false), padded(none, true)]).toEqual([
    [0, 1],
    [0.1, 1],
  ]);
});

test("the whole run fills the plot; a live run leaves room for the steps to come", () => {
  const scene = sceneFor(runOf(60));
  expect([...visible(scene), scene.x.map(1), scene.x.map(60)]).toEqual([1, 60, scene.left, scene.right]);
  expect(scene.lines[0]!.main.d).toMatch(new RegExp(`^M${scene.left} `));
  expect(visible(sceneOf({ ...inputOf(runOf(10)), until: 60 }))).toEqual([1, 60]);
  expect(visible(sceneOf({ ...inputOf(runOf(10), { x: "epoch" }), until: 60 }))).toEqual([0.1, 1]);
  expect(visible(sceneFor(runOf(60), { x: "elapsed" }))).toEqual([0, 60_000]);
  expect(visible(sceneFor(runOf(60), { x: "wall" }))).toEqual([ORIGIN + 1000, ORIGIN + 60_000]);
});

test("the y axis follows the visible points, raw and smoothed", () => {
  const spiky = runOf(60, (step) => (step === 30 ? 50 : 1));
  expect(sceneFor(spiky, { smooth: 0.9 }).y.to).toBeGreaterThan(50);
  expect(sceneFor(spiky, { zoom: [40, 60] }).y.to).toBeLessThan(2);
  // The smoothed curve lags behind points that are no longer visible.
  const scene = sceneFor(spiky, { smooth: 0.9, zoom: [40, 60] });
  expect(scene.y.map(scene.lines[0]!.smooth![39]!)).toBeGreaterThanOrEqual(scene.top);
});

test("a path has two points per pixel column, and every spike", () => {
  const { lines, x, y } = sceneFor(runOf(20_000, (step) => (step === 7_777 ? 9 : Math.sin(step))));
  const { d } = lines[0]!.main;
  expect(d.match(/[ML]/g)!.length).toBeLessThanOrEqual(2 * 1000);
  const spike = `${Math.round(10 * x.map(7_777)) / 10} ${Math.round(10 * y.map(9)) / 10}`;
  expect(d).toContain(`L${spike}L`);
});

test("a gap ends the line, and a point between two gaps is a dot", () => {
  const run = runOf(60, (step) => (step === 29 || step === 31 ? null : 1));
  const scene = sceneFor(run);
  const { d, dots } = scene.lines[0]!.main;
  expect([d.match(/M/g)!.length, dots.match(/M/g)!.length]).toEqual([2, 1]);
  expect(scene.gaps).toEqual([29, 31].map((step) => Math.round(scene.x.map(step))));
  const below = sceneFor(
    runOf(9, (step) => step - 5),
    { log: true },
  );
  expect([below.below, below.gaps.length, below.lines[0]!.main.d.match(/M/g)!.length]).toEqual([5, 5, 1]);
});

test("a line that leaves a zoomed plot is clipped near its edge, at the right height", () => {
  const run = runOf(3, (step) => step);
  const { lines, left, y, x } = sceneFor(run, { zoom: [2, 2.00001] });
  const [, px, py] = /^M(\S+) ([^L]+)/.exec(lines[0]!.main.d)!.map(Number);
  expect(px).toBe(left - 8);
  expect(py).toBeCloseTo(y.map(x.invert(left - 8)), 0);
});

test("a repeated pass is faint, and not connected with the curve", () => {
  const run = runOf(100, () => 1);
  for (let step = 51; step <= 150; step++) run.add("training.log", JSON.stringify({ step, loss: 2 }));
  const { main, faint, xs } = lineOf(run);
  expect([xs.length, main.d.match(/M/g)!.length, faint.d.match(/M/g)!.length]).toEqual([150, 1, 1]);
});

test("over time, no curve lies over the pause between a stop and a restart", () => {
  const run = new Run();
  const add = (name: string, row: object): void => void run.add(name, JSON.stringify(row));
  add("training.started", { timestamp: at(0) });
  for (let step = 1; step <= 10; step++) add("training.log", { step, loss: 1, timestamp: at(step) });
  add("training.started", { timestamp: at(60) });
  for (let step = 6; step <= 20; step++) add("training.log", { step, loss: 1, timestamp: at(74 + step) });
  for (const smooth of [0, 0.6]) {
    const { lines, x, gaps } = sceneFor(run, { x: "elapsed", smooth });
    const pixels = [...lines[0]!.main.d.matchAll(/[ML](\S+) /g)].map(([, px]) => Number(px));
    const pause = pixels.filter((px) => px > x.map(10_000) + 1 && px < x.map(80_000) - 1);
    expect([x.to, lines[0]!.main.d.match(/M/g)!.length, pause, gaps]).toEqual([94_000, 2, [], []]);
  }
  expect(lineOf(run).main.d.match(/M/g)).toHaveLength(1);
});

test("few evaluations each get a dot", () => {
  const run = new Run();
  for (let step = 10; step <= 50; step += 10)
    run.add("training.log", JSON.stringify({ step, evalLoss: 1 / step }));
  expect(lineOf(run, {}, ["evalLoss"]).main.dots.match(/M/g)).toHaveLength(5);
});

test("checkpoints are marked on axes of steps and time; of overlapping ones the latest", () => {
  const marks = (...args: Parameters<typeof sceneFor>): number[] =>
    sceneFor(...args).marks.map(({ step }) => step);
  expect(marks(runOf(600))).toEqual([21, 40]);
  expect(marks(runOf(60))).toEqual([20, 21, 40]);
  expect(marks(runOf(60), { x: "elapsed" })).toEqual([20, 21, 40]);
  expect(marks(runOf(60), { x: "epoch" })).toEqual([]);
});

test("an empty chart says why", () => {
  const reason = (...args: Parameters<typeof sceneFor>): string | null => sceneFor(...args).emptyReason;
  const untimed = new Run();
  untimed.add("training.log", JSON.stringify({ step: 1, loss: 2 }));
  expect([reason(runOf(0)), reason(untimed), reason(runOf(9, () => -1))]).toEqual(["", null, null]);
  expect(reason(untimed, { x: "elapsed" })).toMatch(/no time/);
  expect(reason(untimed, { x: "epoch" })).toMatch(/no epoch/);
  expect(
    reason(
      runOf(9, () => -1),
      { log: true },
    ),
  ).toMatch(/above zero/);
  expect(reason(runOf(9, () => null))).toMatch(/number/);
  expect(reason(runOf(9), { zoom: [90, 100] })).toMatch(/in this range/);
  expect(reason(runOf(9), {}, [])).toMatch(/switched off/);
  const { xTicks, yTicks } = sceneFor(runOf(0));
  expect([xTicks, yTicks]).toEqual([[], []]);
});

test("a learning rate has the axis to itself, and beside a loss its own", () => {
  const run = new Run();
  for (let step = 1; step <= 50; step++)
    run.add("training.log", JSON.stringify({ step, learningRate: 1e-3 / step }));
  const alone = sceneFor(run, { log: true }, ["lr"]);
  expect([alone.side, alone.lines[0]!.y === alone.y, alone.yTicks.length > 2]).toEqual([null, true, true]);
  run.add("training.log", JSON.stringify({ step: 51, loss: 1 }));
  const both = sceneFor(run, {}, ["loss", "lr"]);
  expect([both.lines[1]!.y === both.side, both.sideTicks.length > 2]).toEqual([true, true]);
});

test("labels of the axis don't overlap; larger letters get more room, so there are fewer", () => {
  const input = { ...inputOf(runOf(2000), { zoom: [0, 2_000_000] }), width: 390 };
  const { xTicks, x } = sceneOf(input);
  const ends = xTicks.map(({ value, label }) => {
    const size = label.length * CHARACTER;
    const left =
      x.map(value) - size * { start: 0, middle: 0.5, end: 1 }[textAnchor(x.map(value), label, 390)];
    return [left, left + size];
  });
  for (const [index, [left]] of ends.slice(1).entries())
    expect(left).toBeGreaterThanOrEqual(ends[index]![1]!);
  const [usual, large] = [sceneOf(inputOf(runOf(2000))), sceneOf({ ...inputOf(runOf(2000)), letters: 2 })];
  expect(340 - large.bottom).toBe(2 * (340 - usual.bottom));
  expect(large.xTicks.length).toBeLessThan(usual.xTicks.length);
  expect(large.yTicks.length).toBeLessThan(usual.yTicks.length);
});

test("the pointer finds the nearest step, and in a crowd the point at its own height", () => {
  const scene = sceneFor(runOf(60));
  expect(hitsAt(scene, { x: 29.6, py: 100 })[0]).toMatchObject({ x: 30, index: 29, value: 0.1 });
  const crowd = sceneFor(runOf(20_000, (step) => (step === 5_003 ? 9 : step === 5_000 ? null : 1)));
  const hit = (height: number) => hitsAt(crowd, { x: 5_000, py: crowd.y.map(height) })[0]!;
  expect([hit(9).x, hit(1).value]).toEqual([5_003, 1]);
  expect(hitsAt(sceneFor(runOf(0)), { x: 50, py: 50 })).toEqual([]);
});

test("the crosshair is on the chosen curve, else on the closest point", () => {
  const run = runOf(60);
  run.add("training.log", JSON.stringify({ step: 60, evalLoss: 1 }));
  const scene = sceneFor(run, {}, ["loss", "evalLoss"]);
  const at = (cursor: Parameters<typeof hitsAt>[1]) => closestHit(hitsAt(scene, cursor), cursor)?.x;
  expect([at({ x: 30, py: 0 }), at({ x: 30, key: "evalLoss" })]).toEqual([30, 60]);
});

test("a readout that cannot hold all lines lists the nearest", () => {
  const hits = [10, 200, 90, NaN, 100].map((py) => ({ py }) as ReturnType<typeof hitsAt>[number]);
  expect(nearestHits(hits, 98, 3).map(({ py }) => py)).toEqual([100, 90, 10]);
});

test("keys move from point to point, over gaps and repeated steps, and stop at the ends", () => {
  const line = { xs: [1, 2, 3, 4, 5, 6, 7, 7, 8, 9], ys: [1, 1, 1, 1, Infinity, Infinity, 1, 1, 1, 1] };
  const steps = [
    [3, 1],
    [6, -1],
    [3, 3],
    [6, 1],
    [8, 10],
    [1, -10],
  ] as const;
  expect(steps.map(([index, by]) => stepAlong(line, index, by))).toEqual([6, 3, 9, 8, 9, 0]);
});

test("zooming keeps the point under the pointer; panning stops at the ends", () => {
  const view = (from: number, to: number) => ({ x: scaleOf([from, to], 0, 1), fullRange: [0, 100] as const });
  expect(zoomed(view(0, 100), 25, 0.5)).toEqual([12.5, 62.5]);
  expect(zoomed(view(90, 100), 99, 2)).toEqual([80, 100]);
  expect(zoomed(view(10, 90), 50, 2)).toBeNull();
  expect(zoomed(view(50, 50.001), 50, 1e-9)![1]).toBeCloseTo(50.001, 9);
  expect(zoomed(view(0, 100), 30, 0.2, 0.5)).toEqual([20, 40]);
  expect([panned(view(10, 20), 0.5), panned(view(10, 20), -5), panned(view(85, 95), 5)]).toEqual([
    [15, 25],
    [0, 10],
    [90, 100],
  ]);
});
