/** The visible range: the extent of the axes, values that cannot be drawn, and why a chart is empty. */
import { extent, within } from "../data/curve";
import type { Series } from "../data/series";
import type { Scale } from "./scale";
import type { Settings } from "./settings";
import type { Track } from "./track";
import type { Span } from "./zoom-range";

export interface TrackSeries {
  track: Track;
  series: Series;
}

export const EMPTY_RANGE: Span = [0, 1];

/** The extent of all series along x. */
export function xExtent(lines: readonly TrackSeries[], settings: Settings, until: number | undefined): Span {
  let low = Infinity;
  let high = -Infinity;
  for (const { series } of lines) {
    if (series.xs.length === 0) continue;
    low = Math.min(low, series.xs.at(0));
    high = Math.max(high, series.xs.last());
  }
  if (settings.x === "step" && until !== undefined) {
    low = Math.min(low, 1);
    high = Math.max(high, until);
  }
  if (!(low <= high)) return EMPTY_RANGE;
  // Elapsed time includes loading the model, so it starts at 0.
  if (settings.x === "elapsed") low = Math.min(low, 0);
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/**
 * The y extent of the visible points. The faint points behind a smoothed curve count, or a spike would be cut off; so
 * does the curve itself, which lags behind points that are no longer visible.
 */
export function yExtent(lines: readonly TrackSeries[], view: Span, positive: boolean): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const { series } of lines) {
    for (const curve of [series.raw, ...(series.smoothed ? [series.main] : []), ...series.earlier]) {
      let [start, end] = within(curve, ...view);
      // Between two points, the line connecting them is visible.
      if (start >= end && start > 0 && start < curve.length) {
        start -= 1;
        end = start + 2;
      }
      const [a, b] = extent(curve.ys, start, end, positive);
      low = Math.min(low, a);
      high = Math.max(high, b);
    }
  }
  return [low, high];
}

/** The pixel columns of values that cannot be drawn, and how many of them are zero or below on a log scale. */
export function findGaps(
  lines: readonly TrackSeries[],
  x: Scale,
  log: boolean,
): { gaps: number[]; below: number } {
  const columns = new Set<number>();
  let below = 0;
  for (const { series } of lines) {
    if (series.gaps === 0 && !log) continue;
    const { raw } = series;
    const [start, end] = within(raw, x.from, x.to);
    for (let i = start; i < end; i++) {
      const y = raw.ys[i]!;
      const low = log && y <= 0;
      if (low) below++;
      if (low || y - y !== 0) columns.add(Math.round(x.map(raw.xs[i]!)));
    }
  }
  return { gaps: [...columns], below };
}

/** Why nothing is visible, in words; empty if nothing was logged, for which the page has its own text; else null. */
export function emptyReason(
  lines: readonly TrackSeries[],
  { x, log }: Settings,
  view: Span,
  seen: boolean,
): string | null {
  if (lines.length === 0) return "All curves are switched off in the legend.";
  if (lines.every(({ series }) => series.xs.length === 0)) {
    return lines.some(({ series }) => series.placeless)
      ? `The logged steps have no ${x === "epoch" ? "epoch" : "time"}; choose step.`
      : "";
  }
  if (seen) return null;
  const [low, high] = yExtent(lines, view, false);
  if (low <= high) return log ? "Nothing here is above zero, where a log scale begins; choose linear." : null;
  return lines.some(({ series: { raw } }) => within(raw, ...view).reduce((start, end) => end - start) > 0)
    ? "No value here is a number."
    : "No step was logged in this range; show all, or press 0.";
}
