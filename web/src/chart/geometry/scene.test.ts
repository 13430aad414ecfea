import { expect, test } from "vitest";
import { Run } from "../../events/run";
import { type Metric, Series } from "../data/series";
import {
  escapeXml,
  legendLayout,
  rowsToCsv,
  rowsToJson,
  rowsToJsonLines,
  sceneToSvg,
} from "../export/formats";
import { smoothingWeight } from "../use-series";
import { closestHit, type Hit, hitsAt, nearestHits, stepAlong } from "./hit-test";
import { type Scene, type SceneInput, sceneOf } from "./scene";
import { DEFAULTS, type Settings } from "./settings";
import { CHARACTER, textAnchor } from "./ticks";
import type { Track } from "./track";

function runOf(count: number, loss = (step: number): number | null => 3 / step): Run {
  const run = new Run();
  for (let step = 1; step <= count; step++) {
    const row = JSON.stringify({
      step,
      loss: loss(step),
      epoch: step / 10,
      timestamp: new Date(Date.UTC(2026, 0, 1) + step * 1000).toISOString(),
    });
    run.add("training.log", row);
  }
  return run;
}

const ORIGIN = Date.UTC(2026, 0, 1);

function feed(run: Run, ...rows: object[]): void {
  for (const row of rows) {
    run.add("training.log", JSON.stringify(row));
  }
}

function lineOf(
  run: Run,
  metric: Metric,
  x: Settings["x"],
  smooth: number,
  label = metric as string,
): { track: Track; series: Series } {
  const track: Track = { key: metric, label, rows: run.rows, metric, origin: ORIGIN, tone: "--accent" };
  const series = new Series(run.rows, metric, x, ORIGIN, smooth);
  series.extend();
  return { track, series };
}

function inputOf(run: Run, change: Partial<Settings>, label?: string): SceneInput {
  const settings = { ...DEFAULTS, smooth: 0, ...change };
  const checkpoints = [20, 21, 40].map((step) => ({ step, time: ORIGIN + step * 1000, artifacts: [] }));
  return {
    lines: [lineOf(run, "loss", settings.x, settings.smooth ?? 0, label)],
    settings,
    width: 1000,
    height: 340,
    checkpoints,
  };
}

function sceneFor(
  run: Run,
  change: Partial<Settings> = {},
  { until, label }: { until?: number; label?: string } = {},
): Scene {
  return sceneOf({ ...inputOf(run, change, label), ...(until ? { until } : {}) });
}

test("all there is fills the plot, and the first step stays on the axis", () => {
  const scene = sceneFor(runOf(60));
  expect([scene.visibleRange, scene.x.map(1), scene.x.map(60)]).toEqual([[1, 60], scene.left, scene.right]);
  expect(scene.left).toBeGreaterThan(16);
  const { d } = scene.drawn[0]!.main;
  expect(d.startsWith(`M${scene.left} `)).toBe(true);
  expect(scene.drawn[0]!.raw).toBeNull();
});

test("a live run leaves room for the steps to come", () => {
  expect(sceneFor(runOf(10), {}, { until: 60 })).toMatchObject({ visibleRange: [1, 60], emptyReason: null });
  expect(sceneFor(runOf(10), { x: "epoch" }, { until: 60 }).visibleRange).toEqual([0.1, 1]);
});

test("y follows what is visible, the faint points behind a smoothed curve included", () => {
  const spiky = runOf(60, (step) => (step === 30 ? 50 : 1));
  expect(sceneFor(spiky, { smooth: 0.9 }).y.to).toBeGreaterThan(50);
  expect(sceneFor(spiky, { zoom: [40, 60] }).y.to).toBeLessThan(2);
  expect(
    sceneFor(
      runOf(60, () => 0),
      { log: true },
    ).drawn[0]!.main.d,
  ).toBe("");
});

test("a smoothed curve that lags behind its points stays in the picture", () => {
  const spiky = runOf(60, (step) => (step === 30 ? 50 : 1));
  const scene = sceneFor(spiky, { smooth: 0.9, zoom: [40, 60] });
  const ys = [...scene.drawn[0]!.main.d.matchAll(/[ML](\S+) (\S+?)(?=[ML]|$)/g)]
    .filter(([, x]) => Number(x) >= scene.left)
    .map(([, , y]) => Number(y));
  expect(ys).toHaveLength(21);
  expect(Math.min(...ys)).toBeGreaterThanOrEqual(scene.top);
});

test("elapsed time begins with the run, not with its first logged step", () => {
  expect(sceneFor(runOf(60), { x: "elapsed" }).visibleRange).toEqual([0, 60_000]);
  expect(sceneFor(runOf(60), { x: "wall" }).visibleRange).toEqual([ORIGIN + 1000, ORIGIN + 60_000]);
});

test("the time between a stop and the first step after the restart is on the axis, and no curve lies over it", () => {
  const run = new Run();
  const event = (name: string, row: object): void => {
    run.add(name, JSON.stringify(row));
  };
  const at = (seconds: number): string => new Date(ORIGIN + seconds * 1000).toISOString();
  event("training.started", { timestamp: at(0) });
  for (let step = 1; step <= 10; step++) event("training.log", { step, loss: 1, timestamp: at(step) });
  event("training.started", { timestamp: at(60) });
  for (let step = 6; step <= 20; step++) event("training.log", { step, loss: 1, timestamp: at(74 + step) });
  for (const x of ["elapsed", "wall"] as const) {
    for (const smooth of [0, 0.6]) {
      const scene = sceneFor(run, { x, smooth });
      const { d } = scene.drawn[0]!.main;
      expect(scene.visibleRange[1] - scene.visibleRange[0]).toBe(x === "elapsed" ? 94_000 : 93_000);
      expect(d.match(/M/g)).toHaveLength(2);
      // From the last step before the stop the curve goes nowhere; it begins again with the first step after the restart.
      const [before, after] = [10, 80].map((second) =>
        Math.round(scene.x.map((x === "wall" ? ORIGIN : 0) + second * 1000)),
      );
      const xs = [...d.matchAll(/[ML](\S+) /g)].map(([, px]) => Math.round(Number(px)));
      expect(xs.filter((px) => px > before! && px < after!)).toEqual([]);
      expect(scene.gaps).toEqual([]);
    }
  }
  expect(sceneFor(run, { x: "step" }).drawn[0]!.main.d.match(/M/g)).toHaveLength(1);
});

test("short runs are not smoothed unless somebody asks for it", () => {
  const track = (count: number): Track => lineOf(runOf(count), "loss", "step", 0).track;
  expect(smoothingWeight(DEFAULTS, [track(99)])).toBe(0);
  expect(smoothingWeight(DEFAULTS, [track(100)])).toBe(0.6);
  expect(smoothingWeight(DEFAULTS, [track(10), track(120)])).toBe(0.6);
  expect(smoothingWeight(DEFAULTS, [track(10)], 400)).toBe(0.6);
  expect(smoothingWeight({ ...DEFAULTS, smooth: 0.9 }, [track(10)])).toBe(0.9);
  expect(smoothingWeight({ ...DEFAULTS, smooth: 0 }, [track(400)])).toBe(0);
});

test("a spike alone between two gaps is seen behind the smoothed curve", () => {
  const scene = sceneFor(
    runOf(60, (step) => (step === 30 ? 50 : step === 29 || step === 31 ? null : 1)),
    { smooth: 0.6 },
  );
  expect(scene.drawn[0]!.raw!.dots).toEqual([
    [expect.closeTo(scene.x.map(30), 0), expect.closeTo(scene.y.map(50), 0)],
  ]);
});

test("a pass that was done again is faint, and never mixed into the curve", () => {
  const run = runOf(100, () => 1);
  for (let step = 51; step <= 150; step++) {
    run.add("training.log", JSON.stringify({ step, loss: 2 }));
  }
  const scene = sceneFor(run);
  const { main, raw, series } = scene.drawn[0]!;
  expect(series.raw.length).toBe(150);
  expect(main.d.match(/M/g)).toHaveLength(1);
  expect(raw!.d.startsWith(`M${Math.round(scene.x.map(51) * 10) / 10} `)).toBe(true);
});

test("gaps have their columns, checkpoints their marks, the closest thinned", () => {
  const scene = sceneFor(runOf(60, (step) => (step === 7 || step === 8 ? null : 1)));
  expect(scene.gaps).toEqual([7, 8].map((step) => Math.round(scene.x.map(step))));
  expect(sceneFor(runOf(600)).marks.map(({ step }) => step)).toEqual([21, 40]);
  expect(sceneFor(runOf(60)).marks.map(({ step }) => step)).toEqual([20, 21, 40]);
  expect(sceneFor(runOf(60), { x: "epoch" }).marks).toEqual([]);
  const elapsed = sceneFor(runOf(60), { x: "elapsed" });
  expect(elapsed.marks).toEqual([20, 21, 40].map((step) => ({ step, x: elapsed.x.map(step * 1000) })));
});

test("an empty run is an empty picture, with the steps to come where they are known", () => {
  const scene = sceneFor(runOf(0));
  expect([scene.emptyReason, scene.drawn[0]!.main.d, scene.xTicks, scene.yTicks]).toEqual(["", "", [], []]);
  const waiting = sceneFor(runOf(0), {}, { until: 60 });
  expect([waiting.emptyReason, waiting.visibleRange, waiting.xTicks.length > 3]).toEqual(["", [1, 60], true]);
});

test("a picture without a curve says why", () => {
  const blank = (run: Run, change: Partial<Settings> = {}): string | null =>
    sceneFor(run, change).emptyReason;
  const untimed = new Run();
  feed(untimed, { step: 1, loss: 2 }, { step: 2, loss: 1 });
  expect(blank(untimed)).toBeNull();
  expect(blank(untimed, { x: "elapsed" })).toMatch(/no time/);
  expect(blank(untimed, { x: "epoch" })).toMatch(/no epoch/);
  expect(
    blank(
      runOf(9, () => -1),
      { log: true },
    ),
  ).toMatch(/above zero/);
  expect(blank(runOf(9, () => -1))).toBeNull();
  expect(blank(runOf(9, () => null))).toMatch(/number/);
  expect(blank(runOf(9), { zoom: [90, 100] })).toMatch(/in this range/);
  const none = sceneOf({ lines: [], settings: DEFAULTS, width: 1000, height: 340, checkpoints: [] });
  expect(none.emptyReason).toMatch(/switched off/);
});

test("below one step there is the line between its points, and ticks", () => {
  const scene = sceneFor(
    runOf(200, (step) => step),
    { zoom: [100.2, 100.8] },
  );
  expect([scene.emptyReason, scene.xTicks.length > 1, scene.yTicks.length > 1]).toEqual([null, true, true]);
  expect([scene.y.from < 100, scene.y.to > 101]).toEqual([true, true]);
});

test("what a log scale has no place for is a gap, and counted", () => {
  const scene = sceneFor(
    runOf(60, (step) => (step === 7 ? 0 : step === 9 ? -1 : 1)),
    { log: true },
  );
  expect([scene.below, scene.gaps]).toEqual([2, [7, 9].map((step) => Math.round(scene.x.map(step)))]);
  expect(sceneFor(runOf(60, () => -1)).below).toBe(0);
});

test("a learning rate alone has the chart to itself, beside a loss an axis at the side", () => {
  const run = new Run();
  for (let step = 1; step <= 50; step++) feed(run, { step, learningRate: 1e-3 / step });
  const scene = sceneOf({ ...inputOf(run, { log: true }), lines: [lineOf(run, "lr", "step", 0)] });
  expect([scene.side, scene.y.kind, scene.drawn[0]!.y === scene.y, scene.yTicks.length > 2]).toEqual([
    null,
    "log",
    true,
    true,
  ]);
  feed(run, { step: 51, loss: 1 });
  const both = sceneOf({
    ...inputOf(run, {}),
    lines: [lineOf(run, "loss", "step", 0), lineOf(run, "lr", "step", 0)],
  });
  expect([both.side !== null, both.drawn[1]!.y === both.side, both.sideTicks.length > 2]).toEqual([
    true,
    true,
    true,
  ]);
});

test("losses at the end of what numbers can hold are drawn", () => {
  const scene = sceneFor(runOf(40, (step) => (step % 2 ? 1.7e308 : -1.7e308)));
  expect(scene.drawn[0]!.main.d).not.toMatch(/NaN|Infinity/);
  expect(scene.yTicks.length).toBeGreaterThan(2);
  expect(scene.yTicks.map(({ label }) => label).join(" ")).not.toMatch(/Infinity|NaN/);
});

test("no two labels of the axis lie over one another", () => {
  const scene = sceneOf({ ...inputOf(runOf(2000), { zoom: [0, 2_000_000] }), width: 390 });
  const ends = scene.xTicks.map(({ value, label }) => {
    const x = scene.x.map(value);
    return { label, x, side: textAnchor(x, label, 390) };
  });
  ends.slice(1).forEach((tick, k) => {
    const size = (label: string): number => label.length * 7;
    const right = ends[k]!.x + size(ends[k]!.label) * { start: 1, middle: 0.5, end: 0 }[ends[k]!.side];
    expect(tick.x - size(tick.label) * { start: 0, middle: 0.5, end: 1 }[tick.side]).toBeGreaterThanOrEqual(
      right,
    );
  });
});

test("the pointer finds the nearest step, and in a crowd the point at its own height", () => {
  const scene = sceneFor(runOf(60));
  expect(hitsAt(scene, scene.x.map(29.6), 100)[0]).toMatchObject({ x: 30, row: 29, value: 0.1 });
  const crowd = sceneFor(runOf(100_000, (step) => (step === 50_003 ? 9 : 1)));
  const px = crowd.x.map(50_000);
  expect(hitsAt(crowd, px, crowd.y.map(9))[0]!.x).toBe(50_003);
  expect(hitsAt(crowd, px, crowd.y.map(1))[0]!.value).toBe(1);
  expect(hitsAt(sceneFor(runOf(0)), 50, 50)).toEqual([]);
  const [hit] = hitsAt(scene, scene.left - 40, 0);
  expect(closestHit([hit!], 0)?.x).toBe(1);
});

test("a readout that cannot hold all lines has the nearest, and says how many more there are", () => {
  const hits = [10, 200, 90, NaN, 100].map((py) => ({ py })) as Hit[];
  expect(nearestHits(hits, 95, 5)).toEqual({ listed: hits, more: 0 });
  expect(nearestHits(hits, 98, 3)).toEqual({ listed: [hits[4], hits[2], hits[0]], more: 2 });
});

test("keys walk from point to point, over gaps, and stop at the ends", () => {
  const scene = sceneFor(runOf(10, (step) => (step === 5 || step === 6 ? null : 1)));
  const drawn = scene.drawn[0]!;
  expect([
    stepAlong(drawn, 3, 1),
    stepAlong(drawn, 6, -1),
    stepAlong(drawn, 3, 3),
    stepAlong(drawn, 8, 10),
    stepAlong(drawn, 1, -10),
  ]).toEqual([6, 3, 8, 9, 0]);
});

test("the exported SVG is whole by itself and takes no markup from names", () => {
  const scene = sceneFor(runOf(30), { smooth: 0.5 }, { label: '<script>&"\u0007\ud800' });
  const palette = {
    paper: "rgb(1,1,1)",
    ink: "i",
    hint: "h",
    grid: "g",
    axis: "a",
    gap: "p",
    tones: new Map([["--accent", "rgb(9,8,7)"]]),
  };
  const svg = sceneToSvg(scene, "a < b", palette);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(svg).not.toMatch(/var\(|class=|<script|href|NaN|undefined/);
  expect(svg).toContain("<title>a &#60; b</title>");
  expect(svg).toContain('stroke="rgb(9,8,7)"');
  expect(svg.match(/stroke-opacity="0.3"/g)).toHaveLength(1);
  expect(escapeXml("\u0000a\ufffeb\n🎉\ud83c")).toBe("ab\n🎉");
});

test("a legend of many long names stays in the picture", () => {
  const { track } = lineOf(runOf(2), "loss", "step", 0);
  const tracks = ["short", "mid ".repeat(9), "x".repeat(300), "🎉".repeat(80), "b", "c"].map((label) => ({
    ...track,
    label,
  }));
  for (const width of [390, 1280]) {
    const { items, rows } = legendLayout(tracks, 50, width);
    for (const { x, label, row } of items) {
      expect(x + 24 + [...label].length * 6.8).toBeLessThanOrEqual(width);
      expect(row).toBeLessThan(rows);
    }
    expect(items[2]!.label).toMatch(/^x{20,}…$/);
  }
});

test("CSV and JSON have every row, and distinguish missing from non-finite values", () => {
  const run = runOf(3, (step) => (step === 2 ? null : 1.5));
  const csv = rowsToCsv([{ id: "j", name: "x", rows: run.rows }]);
  expect(csv.split("\r\n")).toEqual([
    "step,epoch,time,loss,evalLoss,learningRate,tokensPerSecond,samplesPerSecond",
    "1,0.1,2026-01-01T00:00:01.000Z,1.5,,,,",
    "2,0.2,2026-01-01T00:00:02.000Z,NaN,,,,",
    "3,0.3,2026-01-01T00:00:03.000Z,1.5,,,,",
    "",
  ]);
  const two = rowsToCsv([
    { id: "j1", name: '=1+"2"', rows: run.rows },
    { id: "j2", name: "b", rows: run.rows },
  ]).split("\r\n");
  expect(two[0]).toMatch(/^job,id,step/);
  expect(two[1]).toMatch(/^"'=1\+""2""",j1,1,/);
  expect(two[4]).toMatch(/^b,j2,1,/);
  const json = JSON.parse(rowsToJson([{ job: { id: "j" }, rows: run.rows }])) as {
    jobs: { id: string; points: object[] }[];
  };
  expect(json.jobs[0]!.id).toBe("j");
  expect(json.jobs[0]!.points[1]).toEqual({
    step: 2,
    epoch: 0.2,
    time: "2026-01-01T00:00:02.000Z",
    loss: null,
  });
  const lines = rowsToJsonLines([{ id: "j", name: "x", rows: run.rows }]).split("\n");
  expect(lines.pop()).toBe("");
  expect(lines.map((line) => JSON.parse(line))).toEqual(json.jobs[0]!.points);
  const both = rowsToJsonLines([
    { id: "j1", name: "a\nb", rows: run.rows },
    { id: "j2", name: "b", rows: run.rows },
  ]).split("\n");
  expect(both).toHaveLength(7);
  expect(JSON.parse(both[3]!)).toMatchObject({ job: "b", id: "j2", step: 1 });
});

test("letters of twice the size get twice the room, and so fewer labels", () => {
  const input = inputOf(runOf(2000), {});
  const [usual, large] = [sceneOf(input), sceneOf({ ...input, letters: 2 })];
  const longest = Math.max(...large.yTicks.map(({ label }) => label.length));
  expect(large.left).toBeGreaterThan(2 * CHARACTER * longest);
  expect(input.height - large.bottom).toBe(2 * (input.height - usual.bottom));
  expect(large.xTicks.length).toBeLessThan(usual.xTicks.length);
  expect(large.yTicks.length).toBeLessThan(usual.yTicks.length);
});
