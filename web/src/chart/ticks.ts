/** Axis ticks: round numbers, powers of ten, and common divisions of time. */
import { number } from "../lib/format";

export interface Tick {
  value: number;
  label: string;
}

/** 1, 2 or 5 times a power of ten, so that `span` contains about `count` steps. */
function niceStep(span: number, count: number): number {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const part = raw / power;
  return power * (part > Math.sqrt(50) ? 10 : part > Math.sqrt(10) ? 5 : part > Math.sqrt(2) ? 2 : 1);
}

/** The multiples of `step` in [from, to]. */
function multiples(from: number, to: number, step: number): number[] {
  const first = Math.ceil(from / step - 1e-9);
  const count = Math.floor(to / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, k) => (first + k) * step);
}

/** `least`: the smallest step, 1 for integers. */
export function linearTicks(from: number, to: number, count: number, least = 0): Tick[] {
  if (!(to > from)) return [{ value: from, label: from.toFixed(0) }];
  const step = Math.max(niceStep(to - from, count), least);
  const decimals = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const big = Math.max(Math.abs(from), Math.abs(to));
  const text = (value: number): string =>
    big >= 1e7 || big < 1e-3
      ? exponential(value, step)
      : big >= 10_000
        ? number(value, decimals)
        : value.toFixed(decimals);
  return multiples(from, to, step).map((value) => ({ value, label: text(value) }));
}

/** Powers of ten; with 2 and 5 between them while readable, and linear ones within less than a decade. */
export function logTicks(from: number, to: number, count: number): Tick[] {
  const [low, high] = [Math.log10(from), Math.log10(to)];
  const decades = high - low;
  if (decades < 0.7) return linearTicks(from, to, count).filter(({ value }) => value > 0);
  const every = Math.max(1, Math.ceil(decades / count));
  const between = decades * 3 <= count + 2 ? [1, 2, 5] : decades * 2 <= count + 1 ? [1, 3] : [1];
  return multiples(Math.floor(low), high, every)
    .flatMap((power) => between.map((factor) => Number(`${factor}e${power}`)))
    .filter((value) => value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9))
    .map((value) => ({
      value,
      label: value >= 1e-3 && value < 1e5 ? String(value) : exponential(value, value),
    }));
}

/** With the digits that tell multiples of `step` apart: `1.5e−4`. */
function exponential(value: number, step: number): string {
  if (value === 0) return "0";
  const digits = Math.floor(Math.log10(Math.abs(value)) + 1e-9) - Math.floor(Math.log10(step) + 1e-9);
  return value
    .toExponential(Math.min(15, Math.max(0, digits)))
    .replace(/\.?0*e\+?/, "e")
    .replaceAll("-", "−");
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** In seconds: up to a year. */
const TIMES = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
];

function timeStep(span: number, count: number): number {
  if (span / count <= SECOND / 2) return niceStep(span, count);
  const seconds = TIMES.find((step) => span / (step * SECOND) <= count);
  return seconds === undefined ? niceStep(span / DAY, count) * DAY : seconds * SECOND;
}

/** `from` and `to` are milliseconds since the run began. */
export function elapsedTicks(from: number, to: number, count: number): Tick[] {
  const step = timeStep(to - from, count);
  return multiples(from, to, step).map((value) => ({ value, label: elapsed(value, step) }));
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
  return multiples(from - shift, to - shift, step).map((local) => {
    const date = new Date(local).toISOString();
    const label =
      step >= DAY || local % DAY === 0
        ? date.slice(5, 10)
        : date.slice(11, step >= MINUTE ? 16 : step >= SECOND ? 19 : 23);
    return { value: local + shift, label };
  });
}

/** `1:30`, `2:05:00`, `0.5 s`, `3 d 04:00`. `unit` is the finest step to distinguish, in milliseconds. */
export function elapsed(ms: number, unit = MINUTE): string {
  if (ms < 0) return `−${elapsed(-ms, unit)}`;
  if (unit < SECOND) return `${(ms / SECOND).toFixed(unit < 10 ? 3 : unit < 100 ? 2 : 1)} s`;
  const seconds = Math.round(ms / SECOND);
  const two = (n: number): string => String(Math.floor(n)).padStart(2, "0");
  const [d, h, m] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, (seconds / 60) % 60];
  const s = unit < MINUTE || d === 0 ? `:${two(seconds % 60)}` : "";
  if (d > 0) return `${d} d ${two(h)}:${two(m)}${s}`;
  return h > 0 ? `${h}:${two(m)}${s}` : `${Math.floor(m)}${s}`;
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
  letters: number,
): Tick[] {
  let edge = Infinity;
  const fits = ({ value, label }: Tick): boolean => {
    const size = label.length * CHARACTER * letters;
    const left =
      map(value) - size * { start: 0, middle: 0.5, end: 1 }[textAnchor(map(value), label, width, letters)];
    if (left + size > edge) return false;
    edge = left - (CHARACTER * letters) / 2;
    return true;
  };
  return ticks.toReversed().filter(fits).reverse();
}
