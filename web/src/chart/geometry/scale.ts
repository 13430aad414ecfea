/** Linear or logarithmic scales from data to pixels; both can be inverted, for the crosshair and for zooming. */

type ScaleKind = "linear" | "log";

export interface Scale {
  readonly kind: ScaleKind;
  readonly from: number;
  readonly to: number;
  /** Data to pixels; NaN for values that the scale cannot show (zero and below on a log scale). */
  map(value: number): number;
  invert(pixel: number): number;
}

export function linearScale(from: number, to: number, start: number, end: number): Scale {
  // Halved, because the span of the largest numbers exceeds them.
  const low = from / 2;
  const half = to / 2 - low || 0.5;
  const size = end - start;
  return {
    kind: "linear",
    from,
    to,
    map: (value) => start + ((value / 2 - low) / half) * size,
    invert: (pixel) => from + ((pixel - start) / (size || 1)) * 2 * half,
  };
}

export function logScale(from: number, to: number, start: number, end: number): Scale {
  const inner = linearScale(Math.log10(from), Math.log10(to), start, end);
  return {
    kind: "log",
    from,
    to,
    map: (value) => (value > 0 ? inner.map(Math.log10(value)) : NaN),
    invert: (pixel) => 10 ** inner.invert(pixel),
  };
}

/**
 * A y domain around [low, high] with a margin. A flat curve gets a band around its value; without values [0, 1], or a
 * decade on a log scale.
 */
export function padded(low: number, high: number, kind: ScaleKind, part = 0.06): [number, number] {
  if (!(low <= high)) return kind === "log" ? [0.1, 1] : [0, 1];
  if (kind === "log") {
    const a = Math.log10(low);
    const b = Math.log10(high);
    const room = (b - a || 0.5) * part;
    return b > a ? [10 ** (a - room), 10 ** (b + room)] : [low / 2, high * 2];
  }
  if (low === high) return [low - (Math.abs(low) || 1) * 0.5, high + (Math.abs(high) || 1) * 0.5];
  const room = high * part - low * part;
  // A non-negative curve should not get an axis that goes below zero.
  return [Math.max(low >= 0 ? 0 : -Number.MAX_VALUE, low - room), Math.min(Number.MAX_VALUE, high + room)];
}
