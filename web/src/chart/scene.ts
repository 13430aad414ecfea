/** Everything that a chart draws, in pixels, and the points under its cursor. */
import type { Checkpoint } from "../events/run";
import { bisect, type Curve, extent, nearest, type Series, within } from "./series";
import type { Settings, Span } from "./settings";
import {
  CHARACTER,
  elapsedTicks,
  linearTicks,
  logTicks,
  type Tick,
  wallTicks,
  withoutOverlaps,
} from "./ticks";

export interface Scale {
  readonly log: boolean;
  readonly from: number;
  readonly to: number;
  /** Data to pixels; not finite for values that the scale cannot show (zero and below on a log scale). */
  map(value: number): number;
  invert(pixel: number): number;
}

export function scaleOf([from, to]: Span, start: number, end: number, log = false): Scale {
  const [low, high] = log ? [Math.log10(from), Math.log10(to)] : [from, to];
  const span = high - low || 1;
  const size = end - start || 1;
  const at = (value: number): number => start + ((value - low) / span) * size;
  const of = (pixel: number): number => low + ((pixel - start) / size) * span;
  return {
    log,
    from,
    to,
    map: log ? (value) => at(Math.log10(value)) : at,
    invert: log ? (pixel) => 10 ** of(pixel) : of,
  };
}

const ROOM = 0.06;

/**
 * A y domain around [low, high] with a margin. A flat curve gets a band around its value; without values [0, 1], or a
 * decade on a log scale.
 */
export function padded([low, high]: Span, log: boolean): Span {
  if (!(low <= high)) return log ? [0.1, 1] : [0, 1];
  if (log) {
    const factor = low === high ? 2 : 10 ** (Math.log10(high / low) * ROOM);
    return [low / factor, high * factor];
  }
  if (low === high) return [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const room = (high - low) * ROOM;
  // A non-negative curve should not get an axis that goes below zero.
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

/** An SVG path, and a path of dots for points with a gap on both sides: a line of one point would be invisible. */
export interface Path {
  d: string;
  dots: string;
}

/** How far beyond the edges lines are drawn, in pixels. */
const MARGIN = 8;

/**
 * The part of the curve inside [x.from, x.to], with the points just outside so that lines reach the edge. A y that is
 * not finite, or that the scale cannot show, ends the line; the next point starts a new one, and so do `breaks`.
 *
 * Each pixel column has at most two points, the lowest and the highest in it, in their order: no spike is lost at any
 * width. A gap inside a column is narrower than a pixel: the line breaks at the column's end.
 */
export function pathOf({ xs, ys }: Curve, x: Scale, y: Scale, breaks: readonly number[] = []): Path {
  const start = Math.max(0, bisect(xs, x.from) - 1);
  const end = Math.min(xs.length, bisect(xs, x.to, true) + 1);
  const [left, right] = [x.map(x.from) - MARGIN, x.map(x.to) + MARGIN];
  const path: Path = { d: "", dots: "" };
  let line: string[] = [];
  let column = NaN;
  let [low, high] = [
    [0, 0, 0],
    [0, 0, 0],
  ] as [Point, Point];
  const flush = (): void => {
    if (column !== column) return;
    for (const [px, py] of low === high ? [low] : low[2] < high[2] ? [low, high] : [high, low])
      line.push(`${tenth(px)} ${tenth(py)}`);
    column = NaN;
  };
  const lift = (): void => {
    if (line.length > 1) path.d += `M${line.join("L")}`;
    else if (line.length === 1) path.dots += `M${line[0]}h0`;
    line = [];
  };
  let broken = false;
  let next = bisect(breaks, start);
  for (let i = start; i < end; i++) {
    if (i === breaks[next]) {
      flush();
      lift();
      next++;
    }
    let [px, py] = [x.map(xs[i]!), y.map(ys[i]!)];
    if (!Number.isFinite(py)) {
      broken = true;
      continue;
    }
    if (px < left || px > right) {
      // The neighbour outside may be a million pixels away, where renderers lose precision, so the line is clipped.
      const edge = px < left ? left : right;
      const inner = i + (px < left ? 1 : -1);
      const [from, level] = [x.map(xs[inner]!), y.map(ys[inner]!)];
      if (Number.isFinite(level) && from !== px) py += ((level - py) * (edge - px)) / (from - px);
      px = edge;
    }
    const at = Math.floor(px);
    if (at !== column) {
      flush();
      if (broken) lift();
      broken = false;
      column = at;
      low = high = [px, py, i];
    } else if (py < low[1]) low = [px, py, i];
    else if (py > high[1]) high = [px, py, i];
  }
  flush();
  lift();
  return path;
}

type Point = [x: number, y: number, index: number];

/** Finer than visible, and half the text. */
const tenth = (pixel: number): number => Math.round(pixel * 10) / 10;

export interface Line extends Series {
  y: Scale;
  main: Path;
  /** The points behind the smoothed curve, and those of repeated steps. */
  faint: Path;
}

export interface Scene {
  width: number;
  height: number;
  /** Font size of labels: 1, or more if the browser enlarges them. */
  letters: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  /** Its ends are the visible range. */
  x: Scale;
  y: Scale;
  /** The learning rate's axis. */
  side: Scale | null;
  xTicks: readonly Tick[];
  yTicks: readonly Tick[];
  sideTicks: readonly Tick[];
  lines: readonly Line[];
  /** Pixel columns with a value that is non-finite, or not positive on a log scale. */
  gaps: readonly number[];
  /** How many visible values are zero or below on a log scale. */
  below: number;
  marks: readonly { step: number; x: number }[];
  /** Why nothing is drawn; empty if nothing was logged, null if something is drawn. */
  emptyReason: string | null;
  /** The whole range of x. */
  fullRange: Span;
}

export interface SceneInput {
  all: readonly Series[];
  settings: Settings;
  width: number;
  height: number;
  letters?: number;
  checkpoints: readonly Checkpoint[];
  /** The last expected step: the axis extends to it, so that a live curve does not rescale. */
  until?: number | undefined;
}

const TOP = 12;
const BOTTOM = 26;
const APART_X = 96;
const APART_Y = 52;
const FEW = 60;
const MARK_GAP = 12;
const NOTHING: Span = [0, 1];

export function sceneOf(input: SceneInput): Scene {
  const { all, settings, width, height, letters = 1, checkpoints } = input;
  const { log } = settings;
  const fullRange = xExtent(input);
  const range = settings.zoom ?? fullRange;
  const rates = all.filter(({ track }) => track.metric === "lr");
  const losses = all.filter(({ track, xs }) => track.metric !== "lr" && xs.length > 0);
  // Without a loss, the learning rate uses the main axis.
  const main = losses.length > 0 ? losses : rates;
  const seen = yExtent(main, range, log);
  const bottom = height - BOTTOM * letters;
  const y = scaleOf(padded(seen, log), bottom, TOP, log);
  const rows = Math.max(2, Math.floor((bottom - TOP) / (APART_Y * letters)));
  const yTicks = (log ? logTicks : linearTicks)(y.from, y.to, rows);
  const [lowRate, highRate] = yExtent(main === rates ? [] : rates, range, false);
  const side =
    lowRate <= highRate ? scaleOf(padded([Math.min(0, lowRate), highRate], false), bottom, TOP) : null;
  const sideTicks = side ? linearTicks(side.from, side.to, rows) : [];
  const axisWidth = (ticks: readonly Tick[]): number =>
    Math.ceil(Math.max(1, ...ticks.map(({ label }) => label.length)) * CHARACTER * letters) + 13;
  const left = axisWidth(yTicks);
  const right = width - (side ? axisWidth(sideTicks) : 8);
  const x = scaleOf(range, left, right);
  const visible = seen[0] <= seen[1];
  return {
    width,
    height,
    letters,
    left,
    right,
    top: TOP,
    bottom,
    x,
    y,
    side,
    sideTicks,
    lines: all.map((series) => lineOf(series, x, series.track.metric === "lr" && side ? side : y)),
    fullRange,
    emptyReason: emptyReason(all, settings, range, visible || side !== null),
    yTicks: visible ? yTicks : [],
    xTicks: fullRange === NOTHING ? [] : xTicks(x, settings, width, letters),
    ...gapsOf(main, x, log),
    marks: checkpointMarks(checkpoints, x, settings, all[0]),
  };
}

/** The extent of all series along x. */
function xExtent({ all, settings, until }: SceneInput): Span {
  const ends = all.flatMap(({ xs }) => (xs.length > 0 ? [xs[0]!, xs.at(-1)!] : []));
  if (settings.x === "step" && until !== undefined) ends.push(1, until);
  if (ends.length === 0) return NOTHING;
  // Elapsed time includes loading the model, so it starts at 0.
  if (settings.x === "elapsed") ends.push(0);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/**
 * The y extent of the visible points. The faint points behind a smoothed curve count, or a spike would be cut off; so
 * does the curve itself, which lags behind points that are no longer visible.
 */
function yExtent(all: readonly Series[], range: Span, positive: boolean): Span {
  let [low, high] = [Infinity, -Infinity];
  for (const series of all) {
    for (const { xs, ys } of [series, mainOf(series), ...series.earlier]) {
      let [start, end] = within(xs, ...range);
      // Between two points, the line connecting them is visible.
      if (start >= end && start > 0 && start < xs.length) [start, end] = [start - 1, start + 1];
      const [least, most] = extent(ys, start, end, positive);
      low = Math.min(low, least);
      high = Math.max(high, most);
    }
  }
  return [low, high];
}

const mainOf = ({ xs, ys, smooth }: Series): Curve => ({ xs, ys: smooth ?? ys });

function lineOf(series: Series, x: Scale, y: Scale): Line {
  const { xs, ys, smooth, breaks, earlier, track } = series;
  const main = pathOf(mainOf(series), x, y, breaks);
  const behind = [
    ...(smooth ? [pathOf(series, x, y, breaks)] : []),
    ...earlier.map((pass) => pathOf(pass, x, y)),
  ];
  const faint = { d: behind.map(({ d }) => d).join(""), dots: behind.map(({ dots }) => dots).join("") };
  const [start, end] = within(xs, x.from, x.to);
  // Evaluations are few: each is a measurement, so each gets a dot.
  if (track.metric.startsWith("eval") && end - start <= FEW) {
    main.dots = "";
    for (let i = start; i < end; i++) {
      const py = y.map(ys[i]!);
      if (Number.isFinite(py)) main.dots += `M${tenth(x.map(xs[i]!))} ${tenth(py)}h0`;
    }
  }
  return { ...series, y, main, faint };
}

/** The pixel columns of values that cannot be drawn, and how many of them are zero or below on a log scale. */
function gapsOf(all: readonly Series[], x: Scale, log: boolean): { gaps: number[]; below: number } {
  const columns = new Set<number>();
  let below = 0;
  for (const { xs, ys, gaps } of all) {
    if (gaps === 0 && !log) continue;
    const [start, end] = within(xs, x.from, x.to);
    for (let i = start; i < end; i++) {
      const low = log && ys[i]! <= 0;
      if (low) below++;
      if (low || !Number.isFinite(ys[i])) columns.add(Math.round(x.map(xs[i]!)));
    }
  }
  return { gaps: [...columns], below };
}

/** Why nothing is visible, in words; empty if nothing was logged, for which the page has its own text; else null. */
function emptyReason(
  all: readonly Series[],
  { x, log }: Settings,
  range: Span,
  seen: boolean,
): string | null {
  if (all.length === 0) return "All curves are switched off in the legend.";
  if (all.every(({ xs }) => xs.length === 0))
    return all.some(({ placeless }) => placeless)
      ? `The logged steps have no ${x === "epoch" ? "epoch" : "time"}; choose step.`
      : "";
  if (seen) return null;
  const [low, high] = yExtent(all, range, false);
  if (low <= high) return log ? "Nothing here is above zero, where a log scale begins; choose linear." : null;
  return all.some(({ xs }) => within(xs, ...range).reduce((start, end) => end - start) > 0)
    ? "No value here is a number."
    : "No step was logged in this range; show all, or press 0.";
}

/** Marks of the visible checkpoints; of overlapping ones the latest is kept. None on an epoch axis. */
function checkpointMarks(
  checkpoints: readonly Checkpoint[],
  x: Scale,
  settings: Settings,
  first: Series | undefined,
): Scene["marks"] {
  const { origin = NaN, shift = 0 } = first?.track ?? {};
  let edge = Infinity;
  return checkpoints
    .toSorted((a, b) => b.step - a.step)
    .flatMap(({ step, time }) => {
      const value = { step: step + shift, epoch: NaN, elapsed: time - origin, wall: time }[settings.x];
      const at = x.map(value);
      if (!(value >= x.from && value <= x.to && edge - at >= MARK_GAP)) return [];
      edge = at;
      return [{ step, x: at }];
    })
    .reverse();
}

function xTicks(x: Scale, settings: Settings, width: number, letters: number): Tick[] {
  const count = Math.max(2, Math.floor(Math.abs(x.map(x.to) - x.map(x.from)) / (APART_X * letters)));
  const make = { step: linearTicks, epoch: linearTicks, elapsed: elapsedTicks, wall: wallTicks }[settings.x];
  // No tick between two steps, unless the range is shorter than a step.
  const whole = settings.x === "step" && x.to - x.from >= 1;
  const ticks = whole ? linearTicks(x.from, x.to, count, 1) : make(x.from, x.to, count);
  return withoutOverlaps(ticks, x.map, width, letters);
}

/** The crosshair's position in the chart's x: at a height in pixels, or on the curve that was chosen by key. */
export type Cursor = { x: number } & ({ py: number } | { key: string });

export interface Hit {
  line: Line;
  /** Index into the line's points. */
  index: number;
  x: number;
  /** In pixels, on the strong curve. */
  px: number;
  py: number;
  value: number;
}

/** Pixels to either side within which the point nearest in height wins, so that spikes can be selected. */
const REACH = 1.5;

/** Each line's point for a cursor, in the order of the legend; lines without a visible point are absent. */
export function hitsAt({ lines, x }: Scene, cursor: Cursor): Hit[] {
  const px = x.map(cursor.x);
  return lines.flatMap((line) => {
    const { xs, ys, smooth, y } = line;
    const [start, end] = within(xs, x.from, x.to);
    if (start >= end) return [];
    let index = nearest(xs, cursor.x, start, end);
    if ("py" in cursor) {
      const away = (i: number): number => {
        const distance = Math.abs(y.map(ys[i]!) - cursor.py);
        return distance >= 0 ? distance : Infinity;
      };
      const [first, last] = within(xs, x.invert(px - REACH), x.invert(px + REACH));
      for (let i = Math.max(first, start); i < Math.min(last, end); i++) if (away(i) < away(index)) index = i;
    }
    const at = xs[index]!;
    return [{ line, index, x: at, px: x.map(at), py: y.map((smooth ?? ys)[index]!), value: ys[index]! }];
  });
}

/** The hit under the crosshair: on the chosen curve, else the closest. */
export function closestHit(hits: readonly Hit[], cursor: Cursor): Hit | undefined {
  const away = ({ x }: Hit): number => Math.abs(x - cursor.x);
  return (
    ("key" in cursor && hits.find(({ line }) => line.track.key === cursor.key)) ||
    hits.toSorted((a, b) => away(a) - away(b))[0]
  );
}
