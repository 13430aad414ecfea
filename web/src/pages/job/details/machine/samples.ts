/** The system metrics of a run as columns of numbers, with their positions along the chart's x. */
import type { XMode } from "../../../../chart/settings";
import { Numbers } from "../../../../events/number-array";
import type { Rows } from "../../../../events/rows";
import { finite, objectIn } from "../../../../lib/json";

export const FIELDS = [
  "cpu",
  "processCpu",
  "memory",
  "memoryFree",
  "disk",
  "gpu",
  "gpuMemory",
  "gpuWatts",
  "gpuCelsius",
] as const;
export type Field = (typeof FIELDS)[number];

const utf8 = new TextDecoder();

/** Reads a run's new events of this kind. A different list means a different history. */
export class Samples {
  /** Milliseconds since 1970. */
  readonly times = new Numbers();
  readonly columns = new Map<Field, Numbers>(FIELDS.map((field) => [field, new Numbers()]));
  #events: readonly Uint8Array[] = [];
  #taken = 0;

  extend(events: readonly Uint8Array[]): void {
    if (events !== this.#events) this.#clear();
    this.#events = events;
    for (; this.#taken < events.length; this.#taken++) {
      const data = objectIn(utf8.decode(events[this.#taken]!)) ?? {};
      const time = Date.parse(String(data.timestamp));
      if (time !== time) continue;
      this.times.push(time);
      for (const [field, column] of this.columns) column.push(finite(data[field]) ?? NaN);
    }
  }

  /** Whether any sample has this figure. */
  has(field: Field): boolean {
    return this.columns.get(field)!.view().some(Number.isFinite);
  }

  #clear(): void {
    this.#taken = 0;
    for (const column of [this.times, ...this.columns.values()]) column.clear();
  }
}

/**
 * The x of each moment, which never decreases. Steps and epochs are interpolated between neighbouring rows, from 0 at
 * `startedAt` (with steps `shift` later); after the last row they continue at its pace, by at most one row's distance.
 */
export function placesOf(
  times: Float64Array,
  rows: Rows,
  mode: XMode,
  origin: number,
  startedAt: number,
  shift = 0,
): Float64Array {
  if (mode === "wall" || mode === "elapsed")
    return times.map((time) => (mode === "wall" ? time : time - origin));
  const known = knots(rows, mode, startedAt);
  const start = mode === "step" ? shift : 0;
  const positions = new Float64Array(times.length);
  let knot = 0;
  let last = -Infinity;
  for (const [index, time] of times.entries()) {
    while (knot + 2 < known.length && known[knot + 1]![0] <= time) knot++;
    last = positions[index] = Math.max(last, between(time, known[knot], known[knot + 1]) + start);
  }
  return positions;
}

type Knot = readonly [time: number, x: number];

function knots(rows: Rows, mode: "step" | "epoch", startedAt: number): Knot[] {
  const knots: Knot[] = Number.isFinite(startedAt) ? [[startedAt, 0]] : [];
  for (let row = 0; row < rows.length; row++) {
    const time = rows.time.at(row);
    const x = rows[mode].at(row);
    const [before, least] = knots.at(-1) ?? [-Infinity, -Infinity];
    if (time > before && x > least && Number.isFinite(time - x)) knots.push([time, x]);
  }
  return knots;
}

function between(time: number, from: Knot | undefined, to: Knot | undefined): number {
  if (from === undefined) return NaN;
  if (to === undefined) return from[1];
  const part = (time - from[0]) / (to[0] - from[0]);
  return from[1] + Math.min(2, Math.max(0, part)) * (to[1] - from[1]);
}
