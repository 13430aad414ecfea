/** Two losses of base and adapter as points of a plane, in one scale for both axes. Pure. */

import { linearTicks, type Tick } from "../../../chart/ticks";
import type { Evaluation } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { finite, isObject } from "../../../lib/json";
import { GENERAL, type Part } from "./figures";

export const WIDTH = 340;
export const HEIGHT = 250;
export const INSIDE = { left: 44, right: 330, top: 26, bottom: 206 };
/** The ends of the arrow keep this far from base and adapter, in pixels: the latter has bars. */
const AWAY = [9, 14] as const;
/** The shortest arrow whose direction is visible, in pixels. */
const SHORTEST = 16;
/** Most strengths that are drawn. */
const MOST = 20;

export interface Point {
  x: number;
  y: number;
}

export interface Plane {
  base: Point;
  adapter: Point;
  /** The possible positions of the adapter relative to the base: the intervals of the differences. */
  bars: { left: number; right: number; top: number; bottom: number };
  /** The adapter at measured strengths, the weakest first; empty if none were measured. */
  points: readonly (Point & { strength: number })[];
  /** From base to adapter; null if they are too close, or there are points between. */
  arrow: { from: Point; to: Point } | null;
  xTicks: readonly (Tick & { at: number })[];
  yTicks: readonly (Tick & { at: number })[];
  label: string;
}

/** Both mean losses of an adapter at a strength. */
export interface AtStrength {
  strength: number;
  heldOut: number;
  general: number;
}

/** The measured strengths of an evaluation, the weakest first; those with missing figures are left out. */
export function strengthsOf({ strengths }: Evaluation): AtStrength[] {
  const points: unknown = strengths;
  const valid = (Array.isArray(points) ? points : []).slice(0, MOST).flatMap((point: unknown) => {
    const { strength, heldOut, general } = isObject(point) ? point : {};
    const [at, task, rest] = [finite(strength), finite(heldOut), finite(general)];
    return at !== null && at > 0 && at < 1 && task !== null && rest !== null
      ? [{ strength: at, heldOut: task, general: rest }]
      : [];
  });
  return valid.sort((first, other) => first.strength - other.strength);
}

/** What an adapter keeps of its gain at a strength, and of its harm, in percent. */
export interface Kept {
  strength: number;
  gain: number;
  harm: number;
}

/** The strength that keeps most of the gain beyond what it keeps of the harm, or a sentence on why there is none. */
export function bestKept(parts: readonly Part[], strengths: readonly AtStrength[]): Kept | string {
  const [task, general] = lossesOf(parts);
  if (!task || task[0] <= task[1]) return "Nothing was gained at the task that a lower strength could keep.";
  if (!general || general[1] <= general[0])
    return "Nothing was lost in general that a lower strength could bring back.";
  const scored = strengths.map((at) => ({
    strength: at.strength,
    gain: (100 * (task[0] - at.heldOut)) / (task[0] - task[1]),
    harm: (100 * (at.general - general[0])) / (general[1] - general[0]),
  }));
  const best = scored.reduce<Kept | null>(
    (first, other) => (first && first.gain - first.harm >= other.gain - other.harm ? first : other),
    null,
  );
  return best && best.gain > best.harm
    ? best
    : "At no measured strength it keeps more of the gain than of the harm.";
}

const lossesOf = (parts: readonly Part[]) => [
  parts.find((part) => part.name !== GENERAL)?.losses,
  parts.find((part) => part.name === GENERAL)?.losses,
];

/** Null unless both parts are losses in the same unit with all their figures. */
export function planeOf(parts: readonly Part[], strengths: readonly AtStrength[] = []): Plane | null {
  const general = parts.find((part) => part.name === GENERAL);
  const task = parts.find((part) => part.name !== GENERAL);
  const unlike = parts.some(({ measure, preferred }) => measure.higher || preferred !== null);
  if (!task || !general || unlike || task.measure.unit !== general.measure.unit) return null;
  const across = axisOf(
    task,
    strengths.map(({ heldOut }) => heldOut),
  );
  const up = axisOf(
    general,
    strengths.map((at) => at.general),
  );
  if (!across || !up) return null;
  const { left, right, top, bottom } = INSIDE;
  // The same nats per pixel in both directions, so that a small loss looks small beside a large gain.
  const perPixel = Math.max(across.span / (right - left), up.span / (bottom - top)) * 1.25 || 1e-3;
  const x = (value: number): number => (left + right) / 2 + (value - across.middle) / perPixel;
  const y = (value: number): number => (top + bottom) / 2 - (value - up.middle) / perPixel;
  const base = { x: x(across.base), y: y(up.base) };
  const adapter = { x: x(across.adapter), y: y(up.adapter) };
  const ticks = (middle: number, size: number, to: (value: number) => number) => {
    const half = (size / 2) * perPixel;
    return linearTicks(middle - half, middle + half, size / 60).map((tick) => ({
      ...tick,
      at: to(tick.value),
    }));
  };
  return {
    base,
    adapter,
    bars: { left: x(across.low), right: x(across.high), top: y(up.high), bottom: y(up.low) },
    points: strengths.map((at) => ({ strength: at.strength, x: x(at.heldOut), y: y(at.general) })),
    arrow: strengths.length > 0 ? null : arrowOf(base, adapter),
    xTicks: ticks(across.middle, right - left, x),
    yTicks: ticks(up.middle, bottom - top, y),
    label: `Task loss ${saidOf(task)}; general loss ${saidOf(general)}. Lower is better${strengths
      .map((at) => `; at ${percent(at.strength)} ${number(at.heldOut, 2)} and ${number(at.general, 2)}`)
      .join("")}`,
  };
}

interface Axis {
  base: number;
  adapter: number;
  low: number;
  high: number;
  middle: number;
  span: number;
}

/** A strength as it is shown. */
export const percent = (strength: number): string => `${Math.round(100 * strength)} %`;

function axisOf({ losses, low, high }: Part, between: readonly number[]): Axis | null {
  if (!losses) return null;
  const [base, adapter] = losses;
  const ends = [base, adapter, base - low, base - high, ...between];
  const [from, to] = [Math.min(...ends), Math.max(...ends)];
  return { base, adapter, low: base - high, high: base - low, middle: (from + to) / 2, span: to - from };
}

function arrowOf(from: Point, to: Point): Plane["arrow"] {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy);
  const [after, before] = AWAY;
  if (length < after + before + SHORTEST) return null;
  const at = (part: number): Point => ({ x: from.x + part * dx, y: from.y + part * dy });
  return { from: at(after / length), to: at(1 - before / length) };
}

function saidOf({ base, adapter, tooFew, low, high, confidence }: Part): string {
  const ends = [-high, -low].map((value) => number(value, 2)).join(" to ");
  const both = `${base} for the base, ${adapter} for the adapter`;
  return tooFew ? both : `${both} (${confidence} % interval of the change ${ends})`;
}
