/** A curve as two columns of numbers, and searches in it. */
export interface Curve {
  xs: Float64Array;
  ys: Float64Array;
  length: number;
}

/** The first index whose x is not below `x`; xs must not decrease. */
export function lowerBound(xs: Float64Array, length: number, x: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The range of indices inside [from, to]. */
export function within(curve: Curve, from: number, to: number): [start: number, end: number] {
  return [lowerBound(curve.xs, curve.length, from), upperBound(curve.xs, curve.length, to)];
}

/** The first index whose x is above `x`; xs must not decrease. */
export function upperBound(xs: Float64Array, length: number, x: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle]! <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The lowest and highest finite y in [start, end) that `positive` allows; [Infinity, -Infinity] without any. */
export function extent(ys: Float64Array, start: number, end: number, positive: boolean): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = start; i < end; i++) {
    const y = ys[i]!;
    if (y - y !== 0 || (positive && y <= 0)) continue;
    if (y < low) low = y;
    if (y > high) high = y;
  }
  return [low, high];
}
