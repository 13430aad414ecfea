/** Axis ticks: round numbers, powers of ten, and common divisions of time. */
import { number } from "../../lib/format";
import type { Scale } from "./scale";

export interface Tick {
  value: number;
  label: string;
}

/** 1, 2 or 5 times a power of ten, so that [from, to] contains about `count` steps. */
export function niceStep(span: number, count: number): number {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const part = raw / power;
  return power * (part > Math.sqrt(50) ? 10 : part > Math.sqrt(10) ? 5 : part > Math.sqrt(2) ? 2 : 1);
}

/** `whole`: the values are integers, so no tick lies between two of them. */
export function linearTicks(from: number, to: number, count: number, integers = false): Tick[] {
  const span = to - from;
  if (!(span > 0)) return [{ value: from, label: plain(from, 0) }];
  // In parts, because the span of the largest numbers exceeds them.
  const step = Math.max(niceStep(to / count - from / count, 1), integers ? 1 : 0);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  const big = Math.max(Math.abs(from), Math.abs(to));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => {
    const value = (first + k) * step;
    const power = big >= 1e12 || (big >= 1e7 && step * 1e5 > big);
    return {
      value,
      label:
        power || (big < 1e-3 && big > 0) ? exponential(value, step) : plain(value, decimals, big >= 10_000),
    };
  });
}

/** Powers of ten; with 2 and 5 between them while readable, and linear ones within less than a decade. */
export function logTicks(from: number, to: number, count: number): Tick[] {
  const low = Math.log10(from);
  const high = Math.log10(to);
  if (high - low < 0.7) return linearTicks(from, to, count).filter(({ value }) => value > 0);
  const every = Math.max(1, Math.ceil((high - low) / count));
  const between = (high - low) * 3 <= count + 2 ? [1, 2, 5] : (high - low) * 2 <= count + 1 ? [1, 3] : [1];
  const ticks: Tick[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    if (power % every !== 0) continue;
    for (const factor of between) {
      const value = Number(`${factor}e${power}`);
      if (value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9)) ticks.push({ value, label: short(value) });
    }
  }
  return ticks;
}

export function yTicks(scale: Scale, count: number): Tick[] {
  return scale.kind === "log"
    ? logTicks(scale.from, scale.to, count)
    : linearTicks(scale.from, scale.to, count);
}

/** Largest width of a label's character in pixels, at the usual font size. */
export const CHARACTER = 7;

/** Aligns the outermost labels inwards, so that they stay in the chart. `letters`: the font size, 1 by default. */
export function textAnchor(x: number, label: string, width: number, letters = 1): "start" | "middle" | "end" {
  const reach = (label.length * CHARACTER * letters) / 2;
  return x + reach > width ? "end" : x - reach < 0 ? "start" : "middle";
}

/** Drops ticks whose labels would overlap, starting from the last one. */
export function withoutOverlaps(
  ticks: readonly Tick[],
  map: (value: number) => number,
  width: number,
  letters = 1,
): Tick[] {
  let edge = Infinity;
  return ticks
    .toReversed()
    .filter(({ value, label }) => {
      const x = map(value);
      const size = label.length * CHARACTER * letters;
      const left = x - size * { start: 0, middle: 0.5, end: 1 }[textAnchor(x, label, width, letters)];
      if (left + size > edge) return false;
      edge = left - (CHARACTER * letters) / 2;
      return true;
    })
    .reverse();
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  30 * DAY,
  90 * DAY,
  365 * DAY,
];

function timeStep(span: number, count: number): number {
  return STEPS.find((step) => span / step <= count) ?? niceStep(span / DAY, count) * DAY;
}

/** `from` and `to` are milliseconds since the run began. */
export function elapsedTicks(from: number, to: number, count: number): Tick[] {
  const step = timeStep(to - from, count);
  const ticks: Tick[] = [];
  for (let value = Math.ceil(from / step - 1e-9) * step; value <= to; value += step)
    ticks.push({ value, label: elapsed(value, step) });
  return ticks;
}

/** `from` and `to` are milliseconds since 1970; ticks fall on whole units of local time (`offset` minutes west of UTC). */
export function wallTicks(
  from: number,
  to: number,
  count: number,
  offset = new Date(from).getTimezoneOffset(),
): Tick[] {
  const step = timeStep(to - from, count);
  const shift = offset * MINUTE;
  const ticks: Tick[] = [];
  for (let local = Math.ceil((from - shift) / step) * step; local + shift <= to; local += step) {
    const date = new Date(local).toISOString();
    const label =
      step >= DAY || local % DAY === 0
        ? date.slice(5, 10)
        : step >= MINUTE
          ? date.slice(11, 16)
          : date.slice(11, step >= SECOND ? 19 : 23);
    ticks.push({ value: local + shift, label });
  }
  return ticks;
}

/** `1:30`, `2:05:00`, `0.5 s`, `3 d 04:00`. `unit` is the finest step to distinguish, in milliseconds. */
export function elapsed(ms: number, unit = MINUTE): string {
  if (ms < 0) return `−${elapsed(-ms, unit)}`;
  if (unit < SECOND) return `${plain(ms / SECOND, unit < 10 ? 3 : unit < 100 ? 2 : 1)} s`;
  const seconds = Math.round(ms / SECOND);
  const [d, h, m, s] = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  const two = (n: number): string => String(n).padStart(2, "0");
  if (d > 0) return `${d} d ${two(h)}:${two(m)}${unit < MINUTE ? `:${two(s)}` : ""}`;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `grouped` is for a whole axis: 9,000 with 10,000, but 900 with 1000. */
function plain(value: number, decimals: number, grouped = false): string {
  return grouped ? number(value, decimals) : value.toFixed(decimals);
}

function exponential(value: number, step: number): string {
  if (value === 0) return "0";
  const digits = Math.max(
    0,
    Math.floor(Math.log10(Math.abs(value)) + 1e-9) - Math.floor(Math.log10(step) + 1e-9),
  );
  return value
    .toExponential(Math.min(15, digits))
    .replace(/\.?0*e\+?/, "e")
    .replace("-", (sign, at) => (at > 0 ? "−" : sign))
    .replace(/^-/, "−");
}

/** A power of ten, or twice or five times it, as short as possible. */
function short(value: number): string {
  return value >= 1e-3 && value < 1e5 ? String(value) : exponential(value, value);
}
