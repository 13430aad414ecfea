/** Arrays that grow by doubling: a run's points stay in typed arrays, 8 bytes a number, and none is ever dropped. */

export class Numbers {
  #buffer: Float64Array;
  length = 0;

  constructor(capacity = 256) {
    this.#buffer = new Float64Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.#buffer.length) {
      const grown = new Float64Array(2 * this.length);
      grown.set(this.#buffer);
      this.#buffer = grown;
    }
    this.#buffer[this.length++] = value;
  }

  /** Puts another value in the place of one that is there. */
  set(index: number, value: number): void {
    this.#buffer[index] = value;
  }

  /** NaN outside of the array. */
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
  view(): Float64Array {
    return this.#buffer.subarray(0, this.length);
  }
}
