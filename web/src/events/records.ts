/**
 * Every event of a job as it came, for the event log: kept as bytes, decoded only for the rows that are on the screen.
 *
 * A single event is kept up to `MAX_EVENT_BYTES`, all of them up to `MAX_TOTAL_BYTES`; what was longer says so by its `size`.
 */
import { Numbers } from "./number-array";

export const MAX_EVENT_BYTES = 1 << 16;
const MAX_TOTAL_BYTES = 1 << 28;
/** Data in a buffer at least this large stay where they are; smaller ones are gathered, or each would hold a buffer of its own. */
const LARGE = 1 << 14;
/** The most kinds of progress at a time; beyond that, each event is a row of its own. */
const MAX_IN_PROGRESS = 64;
const TIME = /"timestamp"\s*:\s*"([^"]{1,64})"/;
const utf8 = new TextDecoder();

export interface Entry {
  index: number;
  /** Empty for one that was dropped. */
  name: string;
  /** Milliseconds since 1970; NaN when the event has no time. */
  time: number;
  /** The data as text, at most `MAX_EVENT_BYTES` of it. */
  data: string;
  /** Bytes of the whole data. */
  size: number;
}

export class Records {
  readonly names: string[] = [];
  #counts: number[] = [];
  #kinds = new Numbers();
  #sizes = new Numbers();
  /** To which step a run may go back before the event is dropped; NaN for one that goes with those before it. */
  #steps = new Numbers();
  /** Where the data begin in their buffer; negative for data that were not kept. */
  #starts = new Numbers();
  #buffers: Uint8Array[] = [];
  /** The first event that lies in each of the buffers. */
  #firsts: number[] = [];
  #own = new Uint8Array(0);
  #ownUsed = 0;
  #kept = 0;
  /** The event of each row of the log. Repeated progress is one row, with its newest event. */
  #rows = new Numbers();
  /** The rows of what is in progress at the end of the log, by what it is. */
  #going = new Map<string, number>();

  /** How many events have come. */
  get length(): number {
    return this.#kinds.length;
  }

  /** How many rows there are to read. */
  get rows(): number {
    return this.#rows.length;
  }

  /** The index of the event in a row. */
  indexInRow(row: number): number {
    return this.#rows.at(row);
  }

  /**
   * `step`: the event is dropped when the run goes on from an earlier one; NaN: with those before it. `progress`: what the event reports
   * the progress of; it replaces the last event with the same value in the log.
   */
  add(name: string, bytes: Uint8Array, start: number, end: number, step: number, progress?: string): void {
    let kind = this.names.indexOf(name);
    if (kind < 0) {
      kind = this.names.push(name) - 1;
      this.#counts.push(0);
    }
    this.#row(kind, progress);
    const size = end - start;
    this.#kinds.push(kind);
    this.#sizes.push(size);
    this.#steps.push(step);
    this.#kept += Math.min(size, MAX_EVENT_BYTES);
    if (this.#kept > MAX_TOTAL_BYTES) this.#starts.push(-1);
    else if (bytes.length < LARGE || size > MAX_EVENT_BYTES)
      this.#starts.push(this.#gather(bytes, start, Math.min(size, MAX_EVENT_BYTES)));
    else {
      this.#from(bytes);
      this.#starts.push(start);
    }
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

  /** The indices of the events in the rows that have one of these names, in order. */
  only(names: ReadonlySet<string>): Numbers {
    const wanted = this.names.map((name) => names.has(name));
    const indices = new Numbers();
    for (const index of this.#rows.view()) if (wanted[this.#kinds.at(index)]) indices.push(index);
    return indices;
  }

  /**
   * Drops the events of steps after `step`, and what has no step behind the last one that stays: it was said of what comes again. All where
   * `step` is 0. The newest event, which says so, stays.
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
    let kept = 0;
    for (const index of this.#rows.view().slice()) {
      if (gone(index)) this.#counts[this.#kinds.at(index)]!--;
      else this.#rows.set(kept++, index);
    }
    this.#rows.length = kept;
    for (let index = 0; index < this.length; index++) if (gone(index)) this.#kinds.set(index, -1);
    this.#going.clear();
  }

  clear(): void {
    this.names.length = this.#counts.length = 0;
    this.#buffers = [];
    this.#firsts = [];
    this.#own = new Uint8Array(0);
    this.#ownUsed = this.#kept = 0;
    this.#going.clear();
    for (const column of [this.#kinds, this.#sizes, this.#steps, this.#starts, this.#rows]) column.clear();
  }

  /** Copies into a buffer of our own. */
  #gather(bytes: Uint8Array, start: number, length: number): number {
    if (this.#ownUsed + length > this.#own.length) {
      this.#own = new Uint8Array(2 * MAX_EVENT_BYTES);
      this.#ownUsed = 0;
    }
    this.#from(this.#own);
    const at = this.#ownUsed;
    this.#own.set(bytes.subarray(start, start + length), at);
    this.#ownUsed += length;
    return at;
  }

  /** Says that the newest event lies in this buffer. */
  #from(buffer: Uint8Array): void {
    if (this.#buffers.at(-1) === buffer) return;
    this.#buffers.push(buffer);
    this.#firsts.push(this.length - 1);
  }

  #name(index: number): string {
    return this.names[this.#kinds.at(index)] ?? "";
  }

  #data(index: number): Uint8Array {
    const start = this.#starts.at(index);
    if (!(start >= 0)) return this.#own.subarray(0, 0);
    let low = 0;
    for (let high = this.#firsts.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.#firsts[middle]! <= index) low = middle;
      else high = middle;
    }
    return this.#buffers[low]!.subarray(start, start + Math.min(this.#sizes.at(index), MAX_EVENT_BYTES));
  }
}
