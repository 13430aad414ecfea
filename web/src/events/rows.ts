/**
 * A run's logged rows: a column is a list of typed arrays of fixed length, so that none is copied as it grows; absent
 * values take no space. No row is ever dropped.
 */

/** Rows in one array: 2 ** PAGE. */
const PAGE = 12;
const MASK = (1 << PAGE) - 1;

/** One value of every row. Reading outside the rows gives NaN. */
export class Column {
  #pages: (Float64Array | undefined)[] = [];

  constructor(private readonly rows: Rows) {}

  get length(): number {
    return this.rows.length;
  }

  at(row: number): number {
    return row >= 0 && row < this.rows.length ? (this.#pages[row >> PAGE]?.[row & MASK] ?? NaN) : NaN;
  }

  set(row: number, value: number): void {
    let page = this.#pages[row >> PAGE];
    if (page === undefined) {
      if (value !== value) return;
      page = new Float64Array(1 << PAGE).fill(NaN);
      this.#pages[row >> PAGE] = page;
    }
    page[row & MASK] = value;
  }

  /** Whether any row has ever had a value. */
  get known(): boolean {
    return this.#pages.length > 0;
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
 * NaN: the row has no such value. `Infinity`: its value cannot be drawn (NaN, out of range, a null loss), so the curve
 * has a gap. Times are Unix milliseconds.
 */
export class Rows {
  length = 0;
  /** Counts how often rows were removed: values that were derived from them are stale. */
  generation = 0;
  /** When the run last resumed, in Unix milliseconds; 0 if it never stopped. */
  resumedAt = 0;
  /** The rows at which the run resumed, from a checkpoint or after a pause. */
  readonly restarts: number[] = [];
  readonly step = new Column(this);
  readonly time = new Column(this);
  readonly epoch = new Column(this);
  readonly loss = new Column(this);
  readonly evalLoss = new Column(this);
  readonly lr = new Column(this);
  readonly tokensPerSecond = new Column(this);
  readonly samplesPerSecond = new Column(this);
  /** The training method's own figures, by their names in `training.log`. */
  readonly #figures = new Map<string, Column>();

  /** The losses and the learning rate by name, else a figure of the training method. */
  column(name: string): Column {
    if (name === "loss") return this.loss;
    if (name === "evalLoss") return this.evalLoss;
    return name === "lr" ? this.lr : this.figure(name);
  }

  /** A figure of the training method; empty if no row has one. */
  figure(name: string): Column {
    let column = this.#figures.get(name);
    if (column === undefined) {
      column = new Column(this);
      this.#figures.set(name, column);
    }
    return column;
  }

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
    const row = this.length++;
    this.step.set(row, step);
    this.time.set(row, time);
    this.epoch.set(row, epoch);
    this.loss.set(row, loss);
    this.evalLoss.set(row, evalLoss);
    this.lr.set(row, lr);
    this.tokensPerSecond.set(row, tokensPerSecond);
    this.samplesPerSecond.set(row, samplesPerSecond);
    for (const figure of this.#figures.values()) figure.set(row, NaN);
  }

  /** Drops the rows of steps after `step`. */
  cut(step: number): void {
    let length = 0;
    for (let row = 0; row < this.length; row++) {
      if (!(this.step.at(row) <= step)) continue;
      for (const column of this.#columns()) column.set(length, column.at(row));
      length++;
    }
    this.#shorten(length);
  }

  clear(): void {
    this.#shorten(0);
    this.resumedAt = 0;
  }

  #columns(): Column[] {
    const { step, time, epoch, loss, evalLoss, lr, tokensPerSecond, samplesPerSecond } = this;
    const own = this.#figures.values();
    return [step, time, epoch, loss, evalLoss, lr, tokensPerSecond, samplesPerSecond, ...own];
  }

  #shorten(length: number): void {
    this.length = length;
    while (this.restarts.at(-1)! >= length) this.restarts.pop();
    this.generation++;
  }
}
