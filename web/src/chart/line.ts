/** One curve's points in the order of x, taken from a run's rows as they arrive; nothing is taken twice. */
import { Numbers } from "../events/growable";
import type { Rows } from "../events/rows";
import type { Curve } from "./decimate";
import { Smoothing } from "./smooth";

export type XMode = "step" | "epoch" | "elapsed" | "wall";
export type Metric = "loss" | "evalLoss" | "lr";

export class Line {
  readonly xs = new Numbers();
  /** A value that is no point (null, NaN, out of range) is not finite here: a gap. */
  readonly ys = new Numbers();
  /** Which row of the run each point comes from. */
  readonly rows = new Numbers();
  gaps = 0;
  #smooth: Smoothing | null;
  #taken = 0;
  #sorted = true;
  #generation: number;

  /** `origin`: what elapsed time counts from, in milliseconds since 1970. `weight` 0 smooths nothing. */
  constructor(
    readonly source: Rows,
    readonly metric: Metric,
    readonly mode: XMode,
    readonly origin: number,
    readonly weight: number,
  ) {
    this.#smooth = weight > 0 ? new Smoothing(weight) : null;
    this.#generation = source.generation;
  }

  /** Whether the run started over: what was taken is no longer there. */
  get outdated(): boolean {
    return this.#generation !== this.source.generation;
  }

  extend(): void {
    const column = this.source[this.metric];
    for (let row = this.#taken; row < this.source.length; row++) {
      const x = this.#x(row);
      const y = column.at(row);
      if (x - x !== 0 || y !== y) continue;
      if (x < this.xs.last()) this.#sorted = false;
      if (y - y !== 0) this.gaps++;
      this.xs.push(x);
      this.ys.push(y);
      this.rows.push(row);
    }
    this.#taken = this.source.length;
    if (!this.#sorted) this.#sort();
    this.#smooth?.extend(this.ys);
  }

  /** The points themselves. */
  get raw(): Curve {
    return { xs: this.xs.view(), ys: this.ys.view(), length: this.xs.length };
  }

  /** What is drawn strongly: smoothed where that is asked for. */
  get main(): Curve {
    return this.#smooth ? { ...this.raw, ys: this.#smooth.values.view() } : this.raw;
  }

  get smoothed(): boolean {
    return this.#smooth !== null;
  }

  /** A run that was resumed from a checkpoint goes back in x; bisection needs order. Rare, so it may cost a full sort. */
  #sort(): void {
    const order = Uint32Array.from({ length: this.xs.length }, (_, index) => index);
    const key = this.xs.view().slice();
    order.sort((a, b) => key[a]! - key[b]!);
    for (const column of [this.xs, this.ys, this.rows]) {
      const old = column.view().slice();
      order.forEach((from, to) => (column.view()[to] = old[from]!));
    }
    this.#sorted = true;
    if (this.#smooth) this.#smooth = new Smoothing(this.weight);
  }

  #x(row: number): number {
    const { step, epoch, time } = this.source;
    if (this.mode === "step") return step.at(row);
    if (this.mode === "epoch") return epoch.at(row);
    return this.mode === "wall" ? time.at(row) : time.at(row) - this.origin;
  }
}
