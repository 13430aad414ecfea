/** The points of a curve in order of x, read from a run's rows, and searches in them. */
import { useRef } from "preact/hooks";
import type { Rows } from "../events/rows";
import type { Settings, XMode } from "./settings";

/** A requested curve. `tone` is a colour token's name, such as `--accent`. */
export interface Track {
  key: string;
  label: string;
  rows: Rows;
  /** `loss`, `evalLoss`, `lr`, or a figure of the training method by its name in `training.log`. */
  metric: string;
  /** Zero of the elapsed time, in Unix milliseconds. */
  origin: number;
  /** Steps of the parent run before its own first one: a branch begins where it left its parent. */
  shift?: number;
  tone: string;
  /** An SVG dash pattern; undefined for a solid line. */
  dash?: string;
}

/** Columns of equal length; xs do not decrease, and ys have values that are not finite where there is a gap. */
export interface Curve {
  xs: ArrayLike<number>;
  ys: ArrayLike<number>;
}

export interface Series extends Curve {
  track: Track;
  xs: readonly number[];
  ys: readonly number[];
  /** The moving average of `ys`; null without smoothing. */
  smooth: readonly number[] | null;
  /** The run's row of each point. */
  rows: readonly number[];
  /** Values of steps that a later pass repeated, one curve per pass. */
  earlier: readonly Curve[];
  /** Indices of the first points after a restart: over time, no line connects them with the previous point. */
  breaks: readonly number[];
  gaps: number;
  /** Whether some values have no known x. */
  placeless: boolean;
}

/** Beyond this, the arithmetic of axes and statistics would overflow. */
const LARGEST = 1e150;
/** A run that goes back more often than this was not resumed but logs out of order: its points are sorted. */
const MAX_PASSES = 40;

/**
 * `weight`: the share of the past in the moving average; 0 disables it. A resumed run repeats some steps: their earlier
 * values leave the curve and become `earlier`, since both passes as one line would look like a comb. TensorBoard does
 * the same (`purge_orphaned_data`), but drops the earlier values.
 */
export function seriesOf(track: Track, mode: XMode, weight: number, inOrder = true): Series {
  const source = track.rows;
  const column = source.column(track.metric);
  const xOf = positions(track, mode);
  const [xs, ys, rows, breaks]: [number[], number[], number[], number[]] = [[], [], [], []];
  const earlier: Curve[] = [];
  const isTime = mode === "elapsed" || mode === "wall";
  let restart = source.restarts[0] ?? Infinity;
  let [gaps, done, previous, placeless, sorted] = [0, -Infinity, -Infinity, false, true];
  for (let row = 0; row < source.length; row++) {
    // Rows with an epoch give the position of those without one.
    const x = xOf(row);
    const y = column.at(row);
    if (y !== y) continue;
    if (!Number.isFinite(x)) {
      placeless = true;
      continue;
    }
    const step = source.step.at(row);
    // Time advances even when a run steps back.
    if (step < done && inOrder && !isTime) {
      if (earlier.length === MAX_PASSES) return seriesOf(track, mode, weight, false);
      let from = rows.length;
      while (from > 0 && source.step.at(rows[from - 1]!) >= step) from--;
      earlier.push({ xs: xs.splice(from), ys: ys.splice(from) });
      rows.length = from;
      previous = xs.at(-1) ?? -Infinity;
    }
    done = step;
    if (row >= restart) {
      if (isTime && xs.length > 0) breaks.push(xs.length);
      restart = source.restarts.find((other) => other > row) ?? Infinity;
    }
    if (x < previous) sorted = false;
    previous = x;
    const drawable = Math.abs(y) < LARGEST;
    if (!drawable) gaps++;
    xs.push(x);
    ys.push(drawable ? y : Infinity);
    rows.push(row);
  }
  const points = sorted ? { xs, ys, rows, breaks } : { ...inOrderOfX(xs, ys, rows), breaks: [] };
  return {
    ...points,
    track,
    earlier,
    gaps,
    placeless,
    smooth: weight > 0 ? smoothed(points.ys, weight) : null,
  };
}

/** Bisection needs order, which clocks and out-of-order rows lack. */
function inOrderOfX(xs: number[], ys: number[], rows: number[]) {
  const order = xs.map((_, index) => index).sort((a, b) => xs[a]! - xs[b]!);
  const [x, y, row] = [xs, ys, rows].map((column) => order.map((index) => column[index]!));
  return { xs: x!, ys: y!, rows: row! };
}

function positions({ rows, origin, shift = 0 }: Track, mode: XMode): (row: number) => number {
  const { step, epoch, time } = rows;
  if (mode === "step") return (row) => step.at(row) + shift;
  if (mode === "wall") return (row) => time.at(row);
  if (mode === "elapsed") return (row) => time.at(row) - origin;
  // Many trainers omit the epoch in evaluations.
  let perStep = NaN;
  return (row) => {
    const [at, reported] = [step.at(row), epoch.at(row)];
    if (!Number.isFinite(reported)) return at * perStep;
    if (at > 0) perStep = reported / at;
    return reported;
  };
}

/**
 * TensorBoard's smoothing: an exponential moving average, debiased as Adam's moments are, so that the first points are not
 * drawn towards zero (tensorboard/components/vz_line_chart2/line-chart.ts, `resmoothDataset`).
 */
export function smoothed(values: readonly number[], weight: number): number[] {
  let [last, bias] = [0, 1];
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    last = last * weight + (1 - weight) * value;
    bias *= weight;
    return last / (1 - bias);
  });
}

/** Shorter runs are not smoothed by default: smoothing would hide their first steps. */
const SHORT_RUN = 100;
export const WEIGHT = 0.6;

/** The moving average's weight: as chosen, else by the length of the longest run. `until`: the last expected step. */
export function smoothingWeight({ smooth }: Settings, tracks: readonly Track[], until = 0): number {
  if (smooth !== null) return smooth;
  return tracks.some(({ rows }) => Math.max(until, rows.step.last()) >= SHORT_RUN) ? WEIGHT : 0;
}

/** The series of the visible tracks, computed again only for runs with new rows. */
export function useSeries(tracks: readonly Track[], settings: Settings, until?: number): Series[] {
  const visible = tracks.filter(({ key }) => !settings.hidden.includes(key));
  const smooth = smoothingWeight(settings, visible, until);
  const cache = useRef(new Map<string, Series>());
  const used = new Map<string, Series>();
  const all = visible.map((track) => {
    const { key, metric, origin, shift, rows } = track;
    // Evaluations and learning rates are never smoothed: that would show values that were not measured.
    const weight = metric === "loss" ? smooth : 0;
    const state = [key, metric, settings.x, origin, shift, weight, rows.generation, rows.length].join(" ");
    const old = cache.current.get(state);
    const series = old?.track.rows === rows ? { ...old, track } : seriesOf(track, settings.x, weight);
    used.set(state, series);
    return series;
  });
  cache.current = used;
  return all;
}

/** The first index whose x is not below `x`; with `after`, whose x is above it. */
export function bisect(xs: ArrayLike<number>, x: number, after = false): number {
  let [low, high] = [0, xs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle]! < x || (after && xs[middle] === x)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The range of indices inside [from, to]. */
export function within(xs: ArrayLike<number>, from: number, to: number): [start: number, end: number] {
  return [bisect(xs, from), bisect(xs, to, true)];
}

/** The index in [start, end) with the x nearest to `x`. */
export function nearest(xs: ArrayLike<number>, x: number, start = 0, end = xs.length): number {
  const right = Math.min(end - 1, Math.max(start, bisect(xs, x)));
  const left = Math.max(start, right - 1);
  return Math.abs(xs[left]! - x) < Math.abs(xs[right]! - x) ? left : right;
}

/** The lowest and highest finite y in [start, end) that `positive` allows; [Infinity, -Infinity] without any. */
export function extent(
  ys: ArrayLike<number>,
  start: number,
  end: number,
  positive = false,
): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let i = start; i < end; i++) {
    const y = ys[i]!;
    if (!Number.isFinite(y) || (positive && y <= 0)) continue;
    if (y < low) low = y;
    if (y > high) high = y;
  }
  return [low, high];
}
