/**
 * A curve as an SVG path with at most two points per pixel column: the lowest and the highest in it, in their order.
 * Every extreme is drawn, so no spike is lost at any width, and it is recomputed for every zoom. A gap inside a column
 * is narrower than a pixel: the line breaks at the column's end.
 */
import { type Curve, lowerBound, upperBound } from "../data/curve";
import type { Scale } from "./scale";

/** How far beyond the edges lines are drawn, in pixels. */
const MARGIN = 8;

export interface Path {
  d: string;
  /** Points with a gap on both sides, drawn as dots: a line of one point would be invisible. */
  dots: [x: number, y: number][];
}

/**
 * The part of the curve inside [x.from, x.to], with the points just outside so that lines reach the edge. A y that is
 * not finite, or that the scale cannot show, ends the line; the next point starts a new one.
 */
export function pathOf(curve: Curve, x: Scale, y: Scale): Path {
  const { xs, ys, length } = curve;
  const start = Math.max(0, lowerBound(xs, length, x.from) - 1);
  const end = Math.min(length, upperBound(xs, length, x.to) + 1);
  const left = x.map(x.from) - MARGIN;
  const right = x.map(x.to) + MARGIN;
  const out = new PathBuilder();
  let column = NaN;
  let broken = false;
  let lowX = 0;
  let lowY = 0;
  let highX = 0;
  let highY = 0;
  let lowAt = 0;
  let highAt = 0;
  const flush = (): void => {
    if (column !== column) return;
    if (lowAt <= highAt) out.to(lowX, lowY);
    if (lowAt !== highAt) out.to(highX, highY);
    if (lowAt > highAt) out.to(lowX, lowY);
    column = NaN;
  };
  for (let i = start; i < end; i++) {
    let py = y.map(ys[i]!);
    if (py - py !== 0) {
      broken = true;
      continue;
    }
    let px = x.map(xs[i]!);
    if (px < left || px > right) {
      // The neighbour outside may be a million pixels away, where renderers lose precision, so the line is clipped.
      const inner = i + (px < left ? 1 : -1);
      const edge = px < left ? left : right;
      const from = x.map(xs[inner] ?? NaN);
      const level = y.map(ys[inner] ?? NaN);
      if (level - level === 0 && from !== px) py += ((level - py) * (edge - px)) / (from - px);
      px = edge;
    }
    const at = Math.floor(px);
    if (at !== column) {
      flush();
      if (broken) out.lift();
      broken = false;
      column = at;
      lowX = highX = px;
      lowY = highY = py;
      lowAt = highAt = i;
    } else if (py < lowY) {
      lowY = py;
      lowX = px;
      lowAt = i;
    } else if (py > highY) {
      highY = py;
      highX = px;
      highAt = i;
    }
  }
  flush();
  out.lift();
  return { d: out.d, dots: out.dots };
}

/** Builds a path; coordinates to a tenth of a pixel, finer than visible and half the text. */
class PathBuilder {
  d = "";
  dots: [number, number][] = [];
  #count = 0;
  #x = 0;
  #y = 0;

  to(x: number, y: number): void {
    this.#x = Math.round(x * 10) / 10;
    this.#y = Math.round(y * 10) / 10;
    this.d += `${this.#count++ === 0 ? "M" : "L"}${this.#x} ${this.#y}`;
  }

  lift(): void {
    if (this.#count === 1) {
      this.d = this.d.slice(0, this.d.lastIndexOf("M"));
      this.dots.push([this.#x, this.#y]);
    }
    this.#count = 0;
  }
}
