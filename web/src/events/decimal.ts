/**
 * Decimal digits to the nearest double, without creating a string. Logged losses have 16 or 17 digits (float32 written
 * as float64), just beyond what one correctly rounded operation can do (W. D. Clinger, "How to read floating point
 * numbers accurately", 1990). Those take a second step in double-double arithmetic (T. J. Dekker, "A floating-point
 * technique for extending the available precision", 1971).
 */
const POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
const SPLIT = 2 ** 27 + 1;
/** Digits in the upper part: 10^8 · 10^11 is still below 2^53 · 2^11, so their product is exact. */
export const HIGH_DIGITS = 8;
export const LOW_DIGITS = 11;

/**
 * (`high` · 10^`count` + `low`) · 10^`exponent`, where `low` has `count` ≤ 11 digits and `high` at most 8. NaN when the
 * nearest double cannot be determined for certain: the caller then uses `Number`.
 */
export function toDouble(high: number, low: number, count: number, exponent: number): number {
  if (exponent > 22 || exponent < -22) return high === 0 && low === 0 ? 0 : NaN;
  const shifted = high * POWERS[count]!;
  const sum = shifted + low;
  if (sum <= Number.MAX_SAFE_INTEGER)
    return exponent < 0 ? sum / POWERS[-exponent]! : sum * POWERS[exponent]!;
  if (exponent >= 0) return NaN;
  const rest = low - (sum - shifted);
  const divisor = POWERS[-exponent]!;
  const quotient = sum / divisor;
  const product = quotient * divisor;
  const remainder = sum - product - productError(quotient, divisor, product) + rest;
  const correction = remainder / divisor;
  const nearest = quotient + correction * (1 + 2 ** -40);
  return nearest === quotient + correction * (1 - 2 ** -40) ? nearest : NaN;
}

/** a · b − fl(a · b), exactly. */
function productError(a: number, b: number, product: number): number {
  const aHigh = SPLIT * a - (SPLIT * a - a);
  const bHigh = SPLIT * b - (SPLIT * b - b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}
