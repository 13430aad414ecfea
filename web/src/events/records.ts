/**
 * Every event of a job as received, for the event log: kept as bytes, decoded only for the rows on the screen. Logged steps begin
 * alike (type, job, date), so about half of their bytes is kept.
 *
 * A single event is kept up to `MAX_EVENT_BYTES`, all of them up to `MAX_TOTAL_BYTES`; a longer one shows it by its `size`.
 */
import { integers, Numbers } from "./number-array";

export const MAX_EVENT_BYTES = 1 << 16;
const MAX_TOTAL_BYTES = 1 << 28;
/** Data are stored in blocks of 2 ** BLOCK bytes, each event within one block. */
const BLOCK = 17;
/** An event is stored without the prefix that it shares with the previous one. Every nth is stored in full. */
const WHOLE_EVERY = 64;
/** The maximum number of kinds of progress; beyond that, each event is its own row. */
const MAX_IN_PROGRESS = 64;
const TIME = /"timestamp"\s*:\s*"([^"]{1,64})"/;
const utf8 = new TextDecoder();
const encoder = new TextEncoder();

export interface Entry {
  index: number;
  /** Empty for a dropped event. */
  name: string;
  /** Milliseconds since 1970; NaN if the event has no time. */
  time: number;
  /** The data as text, at most `MAX_EVENT_BYTES` of it. */
  data: string;
  /** Bytes of the whole data. */
  size: number;
}

export class Records {
  readonly names: string[] = [];
  #counts: number[] = [];
  #kinds = integers();
  #sizes = integers();
  /** The step before which the event is dropped if the run goes back; NaN for one dropped with its predecessors. */
  #steps = new Numbers();
  /** Offset of the data over all blocks; negative for data that were not kept. */
  #starts = integers();
  /** How many leading bytes equal those of the previous event. */
  #shared = integers();
  #blocks: Uint8Array[] = [];
  #used = 0;
  #kept = 0;
  /** The newest event's data, and those of the one that is being added. */
  #newest = new Uint8Array(MAX_EVENT_BYTES);
  #encoded = new Uint8Array(MAX_EVENT_BYTES);
  #newestLength = 0;
  /** The event of each row of the log. Repeated progress is one row, with its newest event. */
  #rows = integers();
  /** The rows of unfinished progress at the end of the log, by kind. */
  #going = new Map<string, number>();

  /** The number of events. */
  get length(): number {
    return this.#kinds.length;
  }

  /** The number of rows. */
  get rows(): number {
    return this.#rows.length;
  }

  /** The index of the event in a row. */
  indexInRow(row: number): number {
    return this.#rows.at(row);
  }

  /**
   * `step`: the event is dropped when the run resumes from an earlier one; NaN: it is dropped with those before it.
   * `progress`: the kind of progress that the event reports; it replaces the last event of that kind in the log.
   */
  add(name: string, data: string, step: number, progress?: string): void {
    let kind = this.names.indexOf(name);
    if (kind < 0) {
      kind = this.names.push(name) - 1;
      this.#counts.push(0);
    }
    this.#row(kind, progress);
    const size = this.#encode(data);
    this.#kinds.push(kind);
    this.#sizes.push(size);
    this.#steps.push(step);
    this.#keep(Math.min(size, MAX_EVENT_BYTES));
  }

  #row(kind: number, progress: string | undefined): void {
    const row = progress === undefined ? undefined : this.#going.get(progress);
    if (row !== undefined) {
      this.#rows.set(row, this.length);
      return;
    }
    if (this.#going.size > 0 && (progress === undefined || this.#going.size >= MAX_IN_PROGRESS))
      this.#going.clear();
    if (progress !== undefined) this.#going.set(progress, this.#rows.length);
    this.#counts[kind]!++;
    this.#rows.push(this.length);
  }

  /** How many rows have events of this name. */
  count(name: string): number {
    return this.#counts[this.names.indexOf(name)] ?? 0;
  }

  entry(index: number): Entry {
    const data = utf8.decode(this.#data(index));
    const time = TIME.exec(data)?.[1];
    return {
      index,
      name: this.#name(index),
      time: time === undefined ? NaN : Date.parse(time),
      data,
      size: this.#sizes.at(index),
    };
  }

  /** The indices of the events in rows with one of these names, in order. */
  only(names: ReadonlySet<string>): Numbers<Int32Array> {
    const included = this.names.map((name) => names.has(name));
    const indices = integers();
    for (const index of this.#rows.view()) if (included[this.#kinds.at(index)]) indices.push(index);
    return indices;
  }

  /**
   * Drops the events of steps after `step`, and events without a step after the last remaining one: they concern work
   * that is repeated. Drops everything if `step` is 0. The newest event, which announces this, stays.
   */
  cut(step: number): void {
    const steps = this.#steps.view();
    const newest = this.length - 1;
    const later = steps.findIndex((of) => of > step);
    const before = steps.subarray(0, later < 0 ? newest : later);
    const stays = before.findLastIndex((of) => of <= step && of > -Infinity);
    const first = stays < 0 ? later : stays + 1;
    const gone = (index: number): boolean =>
      index < newest && (step === 0 || (first >= 0 && index >= first && !(steps[index]! <= step)));
    let length = 0;
    for (const index of this.#rows.view().slice()) {
      if (gone(index)) this.#counts[this.#kinds.at(index)]!--;
      else this.#rows.set(length++, index);
    }
    this.#rows.length = length;
    for (let index = 0; index < this.length; index++) if (gone(index)) this.#kinds.set(index, -1);
    this.#going.clear();
  }

  clear(): void {
    this.names.length = this.#counts.length = 0;
    this.#blocks = [];
    this.#used = this.#kept = this.#newestLength = 0;
    this.#going.clear();
    for (const column of [this.#kinds, this.#sizes, this.#steps, this.#starts, this.#shared, this.#rows])
      column.clear();
  }

  /** Encodes as much as is kept; returns the size of it all. */
  #encode(data: string): number {
    const { read, written } = encoder.encodeInto(data, this.#encoded);
    if (read === data.length) return written;
    const whole = encoder.encode(data);
    this.#encoded.set(whole.subarray(0, MAX_EVENT_BYTES));
    return whole.length;
  }

  /** Keeps the event that is encoded, and exchanges it with the newest one. */
  #keep(length: number): void {
    const bytes = this.#encoded;
    const newest = this.#newest;
    let shared = 0;
    if (this.#shared.length % WHOLE_EVERY > 0) {
      const most = Math.min(length, this.#newestLength);
      while (shared < most && newest[shared] === bytes[shared]) shared++;
    }
    const own = length - shared;
    this.#shared.push(shared);
    [this.#newest, this.#encoded] = [bytes, newest];
    this.#newestLength = length;
    this.#kept += own;
    if (this.#kept > MAX_TOTAL_BYTES) {
      this.#starts.push(-1);
      this.#newestLength = 0;
      return;
    }
    const size = 1 << BLOCK;
    if (this.#blocks.length === 0 || this.#used + own > size) {
      this.#blocks.push(new Uint8Array(size));
      this.#used = 0;
    }
    const block = this.#blocks.at(-1)!;
    this.#starts.push(((this.#blocks.length - 1) << BLOCK) + this.#used);
    block.set(bytes.subarray(shared, length), this.#used);
    this.#used += own;
  }

  #name(index: number): string {
    return this.names[this.#kinds.at(index)] ?? "";
  }

  #data(index: number): Uint8Array {
    if (!(this.#starts.at(index) >= 0)) return new Uint8Array(0);
    const data = new Uint8Array(Math.min(this.#sizes.at(index), MAX_EVENT_BYTES));
    let remaining = data.length;
    for (let from = index; remaining > 0; from--) {
      const shared = this.#shared.at(from);
      if (shared >= remaining) continue;
      const start = this.#starts.at(from);
      const at = start & ((1 << BLOCK) - 1);
      data.set(this.#blocks[start >> BLOCK]!.subarray(at, at + remaining - shared), shared);
      remaining = shared;
    }
    return data;
  }
}
