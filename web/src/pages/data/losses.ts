/** What truncation at a length loses, and the bars of the histogram. Pure. */
import type { DatasetLengths } from "../../contract.gen";

export interface Losses {
  /** Rows that are longer. */
  rows: number;
  /** Tokens after the cut, and the learned ones among them. */
  tokens: number;
  learned: number;
  /** Rows with nothing left to learn: training stops at the first. */
  empty: number;
}

/** The longest cut with known losses. */
export const furthest = ({ rows }: DatasetLengths): number => rows.length - 1;

export function lossesAt(lengths: DatasetLengths, cut: number): Losses {
  const { rows, learned, first } = lengths;
  const losses = { rows: 0, tokens: lengths.beyond, learned: lengths.learnedBeyond, empty: 0 };
  for (let length = cut + 1; length < rows.length; length += 1) {
    const count = rows[length]!;
    losses.rows += count;
    losses.tokens += count * (length - cut);
  }
  for (let index = cut; index < learned.length; index += 1) losses.learned += learned[index]!;
  for (let index = cut; index < first.length; index += 1) losses.empty += first[index]!;
  return losses;
}

export interface Bar {
  /** Lengths from here to `to`, exclusive. */
  from: number;
  to: number;
  rows: number;
}

/** Lengths up to `top` in at most `most` bars of equal width. */
export function barsOf({ rows }: DatasetLengths, top: number, most: number): Bar[] {
  const width = Math.max(1, Math.ceil((top + 1) / most));
  const bars: Bar[] = [];
  for (let from = 0; from <= top; from += width) {
    const to = from + width;
    let count = 0;
    for (let length = from; length < Math.min(to, rows.length); length += 1) count += rows[length]!;
    bars.push({ from, to, rows: count });
  }
  return bars;
}

/** The share of rows that the axis must include; a few far longer ones must not compress it. */
const MOST_ROWS = 0.995;

/** The axis's end: the longest row except a few, with room for the cut unless it is far beyond. */
export function axisEnd(lengths: DatasetLengths, cut: number): number {
  const longest = Math.max(16, furthest(lengths));
  let usual = 0;
  for (let held = 0; usual < lengths.rows.length - 1; usual += 1) {
    held += lengths.rows[usual]!;
    if (held >= lengths.read * MOST_ROWS) break;
  }
  const end = Math.min(longest, Math.max(16, usual * 2, cut * 1.5));
  return Math.ceil(Math.max(end, Math.min(cut, longest * 2)) * 1.04);
}
