/** Everything that a chart draws, computed once for the component and the export. */
import type { Checkpoint } from "../../events/run";
import { type Curve, within } from "../data/curve";
import type { Series } from "../data/series";
import { type Path, pathOf } from "./path";
import { linearScale, logScale, padded, type Scale } from "./scale";
import type { Settings } from "./settings";
import { CHARACTER, elapsedTicks, linearTicks, type Tick, wallTicks, withoutOverlaps, yTicks } from "./ticks";
import type { Track } from "./track";
import { EMPTY_RANGE, emptyReason, findGaps, type TrackSeries, xExtent, yExtent } from "./visible-range";
import type { Span } from "./zoom-range";

export interface DrawnSeries {
  track: Track;
  series: Series;
  y: Scale;
  /** The points behind the smoothed curve, and those of repeated steps; null without any. */
  raw: Path | null;
  main: Path;
  /** Single points, drawn while they are few. */
  points: readonly (readonly [number, number])[];
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
  x: Scale;
  y: Scale;
  /** The learning rate's axis. */
  side: Scale | null;
  xTicks: readonly Tick[];
  yTicks: readonly Tick[];
  sideTicks: readonly Tick[];
  drawn: readonly DrawnSeries[];
  /** Pixel columns with a value that is non-finite, or not positive on a log scale. */
  gaps: readonly number[];
  /** How many visible values are zero or below on a log scale. */
  below: number;
  marks: readonly { step: number; x: number }[];
  /** Why nothing is drawn; empty if nothing was logged, null if something is drawn. */
  emptyReason: string | null;
  /** The whole range of x, and its visible part. */
  fullRange: Span;
  visibleRange: Span;
}

export interface SceneInput {
  lines: readonly TrackSeries[];
  settings: Settings;
  width: number;
  height: number;
  letters?: number;
  checkpoints: readonly Checkpoint[];
  /** The last expected step: the axis extends to it, so that a live curve does not rescale. */
  until?: number;
}

const TOP = 12;
const BOTTOM = 26;
const APART_X = 96;
const APART_Y = 52;
const FEW = 60;
const MARK_GAP = 12;

export function sceneOf({
  lines,
  settings,
  width,
  height,
  letters = 1,
  checkpoints,
  until,
}: SceneInput): Scene {
  const fullRange = xExtent(lines, settings, until);
  const visibleRange: Span = settings.zoom ?? fullRange;
  const rates = lines.filter(({ track }) => track.metric === "lr");
  const losses = lines.filter(({ track, series }) => track.metric !== "lr" && series.xs.length > 0);
  // Without a loss, the learning rate uses the main axis.
  const main = losses.length > 0 ? losses : rates;
  const [low, high] = yExtent(main, visibleRange, settings.log);
  const kind = settings.log ? "log" : "linear";
  const make = settings.log ? logScale : linearScale;
  const bottom = height - BOTTOM * letters;
  const y = make(...padded(low, high, kind), bottom, TOP);
  const rows = Math.max(2, Math.floor((bottom - TOP) / (APART_Y * letters)));
  const ticks = yTicks(y, rows);
  const [sideLow, sideHigh] = yExtent(main === rates ? [] : rates, visibleRange, false);
  const side =
    sideLow <= sideHigh
      ? linearScale(...padded(Math.min(0, sideLow), sideHigh, "linear"), bottom, TOP)
      : null;
  const sideTicks = side ? linearTicks(side.from, side.to, rows) : [];
  const left = axisWidth(ticks, letters);
  const right = width - (side ? axisWidth(sideTicks, letters) : 8);
  const x = linearScale(visibleRange[0], visibleRange[1], left, right);
  const drawn = lines.map(({ track, series }) =>
    drawSeries(track, series, x, track.metric === "lr" && side ? side : y),
  );
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
    drawn,
    fullRange,
    visibleRange,
    emptyReason: emptyReason(lines, settings, visibleRange, low <= high || side !== null),
    yTicks: low <= high ? ticks : [],
    xTicks: fullRange === EMPTY_RANGE ? [] : xTicks(x, settings, right - left, width, letters),
    ...findGaps(main, x, settings.log),
    marks: checkpointMarks(checkpoints, x, settings.x, lines[0]?.track),
  };
}

function axisWidth(ticks: readonly Tick[], letters: number): number {
  return (
    Math.ceil(ticks.reduce((most, { label }) => Math.max(most, label.length), 1) * CHARACTER * letters) + 13
  );
}

function drawSeries(track: Track, series: Series, x: Scale, y: Scale): DrawnSeries {
  const { raw, main } = series;
  const [start, end] = within(raw, x.from, x.to);
  const faint = [...(series.smoothed ? splitAtRestarts(raw, series.breaks) : []), ...series.earlier].map(
    (curve) => pathOf(curve, x, y),
  );
  const few = end - start <= FEW && track.metric !== "lr";
  return {
    track,
    series,
    y,
    raw: faint.length > 0 ? joinPaths(faint) : null,
    main: joinPaths(splitAtRestarts(main, series.breaks).map((curve) => pathOf(curve, x, y))),
    points: few ? pixelsOf(raw, start, end, x, y) : [],
  };
}

/** A curve's parts between restarts. */
function splitAtRestarts({ xs, ys, length }: Curve, breaks: readonly number[]): Curve[] {
  return [0, ...breaks].map((from, part) => {
    const to = breaks[part] ?? length;
    return { xs: xs.subarray(from, to), ys: ys.subarray(from, to), length: to - from };
  });
}

function joinPaths(paths: readonly Path[]): Path {
  return { d: paths.map(({ d }) => d).join(""), dots: paths.flatMap(({ dots }) => dots) };
}

function pixelsOf(curve: Curve, start: number, end: number, x: Scale, y: Scale): [number, number][] {
  const points: [number, number][] = [];
  for (let i = start; i < end; i++) {
    const py = y.map(curve.ys[i]!);
    if (Number.isFinite(py)) points.push([x.map(curve.xs[i]!), py]);
  }
  return points;
}

/** Round dots as a path: lines of length 0 with round caps. */
export function dotsPath(dots: Path["dots"] | DrawnSeries["points"]): string {
  return dots.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
}

/** Marks of the visible checkpoints; of overlapping ones the latest is kept. None on an epoch axis. */
function checkpointMarks(
  checkpoints: readonly Checkpoint[],
  x: Scale,
  mode: Settings["x"],
  { origin = NaN, shift = 0 }: Partial<Track> = {},
): { step: number; x: number }[] {
  const marks: { step: number; x: number }[] = [];
  for (const { step, time } of checkpoints.toSorted((a, b) => b.step - a.step)) {
    const value = { step: step + shift, epoch: NaN, elapsed: time - origin, wall: time }[mode];
    const at = x.map(value);
    if (value >= x.from && value <= x.to && (marks.at(-1)?.x ?? Infinity) - at >= MARK_GAP)
      marks.push({ step, x: at });
  }
  return marks.reverse();
}

function xTicks(x: Scale, settings: Settings, plot: number, width: number, letters: number): Tick[] {
  const count = Math.max(2, Math.floor(plot / (APART_X * letters)));
  const make = { step: linearTicks, epoch: linearTicks, elapsed: elapsedTicks, wall: wallTicks }[settings.x];
  let ticks = make(x.from, x.to, count);
  // No tick between two steps, unless the range is shorter than a step.
  if (settings.x === "step" && x.to - x.from >= 1) ticks = linearTicks(x.from, x.to, count, true);
  return withoutOverlaps(ticks, x.map, width, letters);
}
