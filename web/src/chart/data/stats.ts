/** Statistics of the visible range. */

interface Stats {
  count: number;
  mean: number;
  /** Half the width of the 95 % confidence interval of the mean, as if the points were independent; NaN for one point. */
  ci: number;
  /** Sample standard deviation; NaN for one point. */
  sd: number;
  p90: number;
  p95: number;
}

/** Of the finite values in [start, end); null without any. */
export function statistics(values: Float64Array, start: number, end: number): Stats | null {
  const rest = new Float64Array(Math.max(0, end - start));
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (let i = start; i < end; i++) {
    const value = values[i]!;
    if (value - value !== 0) continue;
    rest[count++] = value;
    // B. P. Welford, "Note on a method for calculating corrected sums of squares and products", 1962.
    const delta = value - mean;
    mean += delta / count;
    squares += delta * (value - mean);
  }
  if (count === 0) return null;
  const sample = rest.subarray(0, count);
  const sd = count > 1 ? Math.sqrt(squares / (count - 1)) : NaN;
  const ci = count > 1 ? (student95(count - 1) * sd) / Math.sqrt(count) : NaN;
  return { count, mean, ci, sd, p90: quantile(sample, 0.9), p95: quantile(sample, 0.95) };
}

/** Linear interpolation between order statistics: R's type 7, NumPy's default. Reorders `values`; NaN for none. */
export function quantile(values: Float64Array, part: number): number {
  if (values.length === 0) return NaN;
  const at = (values.length - 1) * part;
  const below = Math.floor(at);
  const low = select(values, below);
  if (at === below) return low;
  let high = Infinity;
  for (let i = below + 1; i < values.length; i++) if (values[i]! < high) high = values[i]!;
  return low + (high - low) * (at - below);
}

/**
 * The value at `rank` in sorted order; smaller ones are moved before it, larger ones behind. Linear time, where sorting
 * 150,000 values would delay the page (C. A. R. Hoare, "Algorithm 65: find", 1961; the middle as pivot, for runs that
 * are nearly sorted already).
 */
function select(values: Float64Array, rank: number): number {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const pivot = values[(left + right) >> 1]!;
    let i = left;
    let j = right;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i <= j) {
        const value = values[i]!;
        values[i++] = values[j]!;
        values[j--] = value;
      }
    }
    if (rank <= j) right = j;
    else if (rank >= i) left = i;
    else break;
  }
  return values[rank]!;
}

const T95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** The 97.5 % quantile of Student's t; from 30 degrees of freedom by the Cornish–Fisher expansion (Abramowitz & Stegun 26.7.5). */
export function student95(freedom: number): number {
  const known = T95[freedom - 1];
  if (known !== undefined) return known;
  const z = 1.959964;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
}
