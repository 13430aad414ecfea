/** Growing arrays of numbers that never drop a value: typed arrays with 8 bytes per number, or 4 for 31-bit integers. */

type Values = Float64Array | Int32Array;

export class Numbers<T extends Values = Float64Array> {
  #buffer: T;
  length = 0;

  constructor(private readonly kind: new (length: number) => T = Float64Array as never) {
    this.#buffer = new kind(256);
  }

  push(value: number): void {
    if (this.length === this.#buffer.length) this.reserve(1);
    this.#buffer[this.length++] = value;
  }

  /** Makes room for `more` values, so that a batch is not copied while the array grows. */
  reserve(more: number): void {
    if (this.length + more <= this.#buffer.length) return;
    const grown = new this.kind(this.length + Math.max(more, this.length >> 1));
    grown.set(this.view());
    this.#buffer = grown;
  }

  /** Replaces an existing value. */
  set(index: number, value: number): void {
    this.#buffer[index] = value;
  }

  /** NaN outside the array. */
  at(index: number): number {
    return index >= 0 && index < this.length ? this.#buffer[index]! : NaN;
  }

  last(): number {
    return this.at(this.length - 1);
  }

  clear(): void {
    this.length = 0;
  }

  /** A view of the values, valid until the next `push`. */
  view(): T {
    return this.#buffer.subarray(0, this.length) as T;
  }
}

/** Numbers of 4 bytes each. */
export const integers = (): Numbers<Int32Array> => new Numbers(Int32Array);
