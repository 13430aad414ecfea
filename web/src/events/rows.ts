/**
 * A run's logged rows, side by side in one typed array: one check of the room a row, and writes that follow one another,
 * where a column each would take a growing array for every number. No row is ever dropped.
 */

const WIDTH = 8;

/** One value of every row. Reading outside of the rows gives NaN. */
export class Column {
  constructor(
    private readonly rows: Rows,
    private readonly offset: number,
  ) {}

  get length(): number {
    return this.rows.length;
  }

  at(row: number): number {
    return row >= 0 && row < this.rows.length ? this.rows.data[row * WIDTH + this.offset]! : NaN;
  }

  last(): number {
    return this.at(this.rows.length - 1);
  }

  /** All values, copied. */
  values(): number[] {
    return Array.from({ length: this.length }, (_, row) => this.at(row));
  }
}

/**
 * NaN: the row has no such value. `Infinity`: it has one that is no point (NaN, out of range, a loss that is null), so the curve has a gap
 * there. Times are milliseconds since 1970.
 */
export class Rows {
  data = new Float64Array(256 * WIDTH);
  length = 0;
  /** Counts how often rows went: what was taken from them is no longer there. */
  generation = 0;
  /** When the run went on the last time, in milliseconds since 1970; 0 for one that never stopped. */
  resumedAt = 0;
  /** At which rows the run began again, from a checkpoint or after a pause. */
  readonly restarts: number[] = [];
  readonly step = new Column(this, 0);
  readonly time = new Column(this, 1);
  readonly epoch = new Column(this, 2);
  readonly loss = new Column(this, 3);
  readonly evalLoss = new Column(this, 4);
  readonly lr = new Column(this, 5);
  readonly tokensPerSecond = new Column(this, 6);
  readonly samplesPerSecond = new Column(this, 7);

  add(
    step: number,
    time: number,
    epoch: number,
    loss: number,
    evalLoss: number,
    lr: number,
    tokensPerSecond: number,
    samplesPerSecond: number,
  ): void {
    const at = this.length++ * WIDTH;
    if (at === this.data.length) {
      const grown = new Float64Array(2 * at);
      grown.set(this.data);
      this.data = grown;
    }
    const { data } = this;
    data[at] = step;
    data[at + 1] = time;
    data[at + 2] = epoch;
    data[at + 3] = loss;
    data[at + 4] = evalLoss;
    data[at + 5] = lr;
    data[at + 6] = tokensPerSecond;
    data[at + 7] = samplesPerSecond;
  }

  /** Drops the rows of steps after `step`. */
  cut(step: number): void {
    let kept = 0;
    for (let row = 0; row < this.length; row++) {
      if (this.step.at(row) <= step) this.data.copyWithin(kept++ * WIDTH, row * WIDTH, (row + 1) * WIDTH);
    }
    this.#shorten(kept);
  }

  clear(): void {
    this.#shorten(0);
    this.resumedAt = 0;
  }

  #shorten(length: number): void {
    this.length = length;
    while (this.restarts.at(-1)! >= length) this.restarts.pop();
    this.generation++;
  }
}
