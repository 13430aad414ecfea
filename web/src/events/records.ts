/**
 * Every event of a job as it came, for the event log: kept as bytes, decoded only for the rows that are on the screen.
 *
 * A single event is kept up to `KEEP` bytes, all of them up to `TOTAL`; what was longer says so by its `size`.
 */
import { Numbers } from "./growable";

export const KEEP = 1 << 16;
const TOTAL = 1 << 28;
/** Data in a buffer at least this large stay where they are; smaller ones are gathered, or each would hold a buffer of its own. */
const LARGE = 1 << 14;
const utf8 = new TextDecoder();

export interface Entry {
  index: number;
  name: string;
  /** Milliseconds since 1970; NaN when the event has no time. */
  time: number;
  /** The data as text, at most `KEEP` bytes of it. */
  data: string;
  /** Bytes of the whole data. */
  size: number;
}

export class Records {
  readonly names: string[] = [];
  #counts: number[] = [];
  #buffers: Uint8Array[] = [];
  #own = new Uint8Array(0);
  #ownUsed = 0;
  #kept = 0;
  #sources = new Numbers();
  #kinds = new Numbers();
  #starts = new Numbers();
  #lengths = new Numbers();
  #sizes = new Numbers();
  #times = new Numbers();

  get length(): number {
    return this.#kinds.length;
  }

  add(name: string, time: number, bytes: Uint8Array, start: number, end: number): void {
    let kind = this.names.indexOf(name);
    if (kind < 0) {
      kind = this.names.push(name) - 1;
      this.#counts.push(0);
    }
    this.#counts[kind]!++;
    const length = Math.min(end - start, KEEP, Math.max(0, TOTAL - this.#kept));
    this.#kept += length;
    this.#kinds.push(kind);
    this.#sizes.push(end - start);
    this.#lengths.push(length);
    this.#times.push(time);
    const stays = bytes.length >= LARGE && end - start <= KEEP;
    this.#starts.push(stays ? start : this.#gather(bytes, start, length));
    if (stays && this.#buffers.at(-1) !== bytes) this.#buffers.push(bytes);
    this.#sources.push(this.#buffers.length - 1);
  }

  /** Copies into the last of the buffers, which is then one of our own. */
  #gather(bytes: Uint8Array, start: number, length: number): number {
    if (this.#ownUsed + length > this.#own.length) {
      this.#own = new Uint8Array(2 * KEEP);
      this.#ownUsed = 0;
    }
    if (this.#buffers.at(-1) !== this.#own) this.#buffers.push(this.#own);
    const from = this.#ownUsed;
    this.#own.set(bytes.subarray(start, start + length), from);
    this.#ownUsed += length;
    return from;
  }

  count(name: string): number {
    return this.#counts[this.names.indexOf(name)] ?? 0;
  }

  entry(index: number): Entry {
    const data = utf8.decode(this.#data(index));
    return { index, name: this.#name(index), time: this.#times.at(index), data, size: this.#sizes.at(index) };
  }

  /** Whether the event at `index` is this one: a stream that was resumed repeats what is known. */
  equals(index: number, name: string, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#name(index) !== name || this.#sizes.at(index) !== end - start) return false;
    return this.#data(index).every((byte, k) => byte === bytes[start + k]);
  }

  /** The indices of the events that have one of these names, in order. */
  only(names: ReadonlySet<string>): Numbers {
    const wanted = this.names.map((name) => names.has(name));
    const indices = new Numbers();
    this.#kinds.view().forEach((kind, index) => {
      if (wanted[kind]) indices.push(index);
    });
    return indices;
  }

  clear(): void {
    this.names.length = this.#counts.length = 0;
    this.#buffers = [];
    this.#own = new Uint8Array(0);
    this.#ownUsed = this.#kept = 0;
    for (const column of [this.#sources, this.#kinds, this.#starts, this.#lengths, this.#sizes, this.#times]) column.clear();
  }

  #name(index: number): string {
    return this.names[this.#kinds.at(index)] ?? "";
  }

  #data(index: number): Uint8Array {
    const start = this.#starts.at(index);
    return this.#buffers[this.#sources.at(index)]!.subarray(start, start + this.#lengths.at(index));
  }
}
