/** Finding the point under the pointer. */
import { lowerBound, within } from "../data/curve";
import type { Series } from "../data/series";
import type { DrawnSeries, Scene } from "./scene";

export interface Hit {
  drawn: DrawnSeries;
  /** Index into the line's points. */
  index: number;
  row: number;
  x: number;
  /** In pixels, on the strong curve. */
  px: number;
  py: number;
  value: number;
  /** The moving average there; equal to `value` without smoothing. */
  smooth: number;
}

/** Pixels to either side within which the point nearest in height wins, so that spikes can be selected. */
const REACH = 1.5;

/** Each line's point for a pointer at (px, py), in the order of the legend; lines without a visible point are absent. */
export function hitsAt(scene: Scene, px: number, py: number): Hit[] {
  return scene.drawn.flatMap((drawn) => {
    const index = nearest(drawn, scene, px, py);
    return index < 0 ? [] : [hitOf(drawn, scene, index)];
  });
}

/** The hit under the crosshair. */
export function closestHit(hits: readonly Hit[], px: number): Hit | undefined {
  return hits.reduce<Hit | undefined>(
    (best, hit) => (best && Math.abs(best.px - px) <= Math.abs(hit.px - px) ? best : hit),
    undefined,
  );
}

/** All hits in legend order, or if there are more than `most`, those nearest to a height. */
export function nearestHits(
  hits: readonly Hit[],
  py: number,
  most: number,
): { listed: readonly Hit[]; more: number } {
  if (hits.length <= most) return { listed: hits, more: 0 };
  const far = ({ py: own }: Hit): number => (own === own ? Math.abs(own - py) : Infinity);
  return { listed: hits.toSorted((a, b) => far(a) - far(b)).slice(0, most), more: hits.length - most };
}

export function hitOf(drawn: DrawnSeries, scene: Scene, index: number): Hit {
  const { series } = drawn;
  const x = series.xs.at(index);
  const value = series.ys.at(index);
  const smooth = series.main.ys[index] ?? value;
  return {
    drawn,
    index,
    row: series.rows.at(index),
    x,
    px: scene.x.map(x),
    py: drawn.y.map(smooth),
    value,
    smooth,
  };
}

function nearest(drawn: DrawnSeries, scene: Scene, px: number, py: number): number {
  const { raw } = drawn.series;
  const [start, end] = within(raw, ...scene.visibleRange);
  if (start >= end) return -1;
  const [first, last] = within(raw, scene.x.invert(px - REACH), scene.x.invert(px + REACH));
  let best = -1;
  let least = Infinity;
  for (let i = Math.max(first, start); i < Math.min(last, end); i++) {
    const distance = Math.abs(drawn.y.map(raw.ys[i]!) - py);
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  if (best >= 0) return best;
  return pointNear(drawn.series, scene.x.invert(px), start, end);
}

/** The point in [start, end) with the nearest x. */
export function pointNear({ raw }: Series, at: number, start = 0, end = raw.length): number {
  const right = Math.min(end - 1, Math.max(start, lowerBound(raw.xs, raw.length, at)));
  const left = Math.max(start, right - 1);
  return Math.abs(raw.xs[left]! - at) < Math.abs(raw.xs[right]! - at) ? left : right;
}

/** The point `by` positions from `index`, skipping gaps; stops at the ends. */
export function stepAlong({ series }: DrawnSeries, index: number, by: number): number {
  const step = Math.sign(by);
  let at = index;
  for (let remaining = Math.abs(by); remaining > 0; remaining--) {
    let next = at + step;
    while (next >= 0 && next < series.ys.length && !Number.isFinite(series.ys.at(next))) next += step;
    if (next < 0 || next >= series.ys.length) break;
    at = next;
  }
  return at;
}
