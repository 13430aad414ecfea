/** Zooming and panning along x, as pure functions from one range to the next. */

export type Span = readonly [from: number, to: number];

/** The shortest range, as a part of the whole: a hundred thousandth still separates neighbours of any run. */
const CLOSEST = 1e-5;

/** Zooms by `factor` (below 1 is closer) around `center`, which stays in place. Null: everything is visible again. */
export function zoomAround(view: Span, all: Span, center: number, factor: number): Span | null {
  return zoomTo(view, all, center, (center - view[0]) / (view[1] - view[0]), factor);
}

/** Zooms by `factor` and moves `center` to a fraction of the new range: 0 is its left end, 1 its right. */
export function zoomTo(view: Span, all: Span, center: number, part: number, factor: number): Span | null {
  const full = all[1] - all[0];
  const size = Math.max(full * CLOSEST, (view[1] - view[0]) * factor);
  if (!(full > 0) || size >= full) return null;
  return clampTo([center - part * size, center + (1 - part) * size], all);
}

/** Moves by a part of the visible range; stops at the ends. */
export function pan(view: Span, all: Span, part: number): Span {
  const by = (view[1] - view[0]) * part;
  return clampTo([view[0] + by, view[1] + by], all);
}

/** The brushed range, in either direction; null if it is too small to be intended. */
export function rangeOfBrush(a: number, b: number, all: Span): Span | null {
  const from = Math.max(all[0], Math.min(a, b));
  const to = Math.min(all[1], Math.max(a, b));
  return to - from > (all[1] - all[0]) * CLOSEST ? [from, to] : null;
}

function clampTo([from, to]: Span, [low, high]: Span): Span {
  const size = to - from;
  if (from < low) return [low, low + size];
  return to > high ? [high - size, high] : [from, to];
}
