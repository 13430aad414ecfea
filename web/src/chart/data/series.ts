/**
 * One curve's points in order of x, read incrementally from a run's rows. A resumed run repeats some steps. Their
 * earlier values leave the curve and remain as `earlier`: drawing both passes as one line would look like a comb.
 * TensorBoard does the same (`purge_orphaned_data`), but drops the earlier values.
 */
import { integers, Numbers } from "../../events/number-array";
import type { Rows } from "../../events/rows";
import type { Curve } from "./curve";
import { Smoothing } from "./ema";

export type XMode = "step" | "epoch" | "elapsed" | "wall";
/** `loss`, `evalLoss`, `lr`, or a figure of the training method by its name in `training.log`. */
export type Metric = string;

/** A run that goes back more often than this was not resumed but logs out of order: its points are sorted. */
const MAX_PASSES = 40;

export class Series {
  readonly xs = new Numbers();
  /** A value that cannot be drawn (null, NaN, out of range) is not finite here: a gap. */
  readonly ys = new Numbers();
  /** The run's row of each point. */
  readonly rows = integers();
  /** Values of steps that a later pass repeated, one curve per pass. */
  earlier: Curve[] = [];
  gaps = 0;
  /** Indices of the first points after a restart: over time, no line connects them with the previous point. */
  readonly breaks: number[] = [];
  /** Whether some values have no known x. */
  placeless = false;
  #smooth: Smoothing | null;
  #taken = 0;
  #sorted = true;
  #step = -Infinity;
  #resumes: boolean;
  /** Epochs per step, for rows without an epoch: many trainers omit it in evaluations. */
  #epochs = NaN;
  #generation: number;
  #restarts = 0;

  /**
   * `origin`: zero of the elapsed time, in Unix milliseconds. `weight` 0 disables smoothing. `shift`: added to each
   * step.
   */
  constructor(
    readonly source: Rows,
    readonly metric: Metric,
    readonly mode: XMode,
    readonly origin: number,
    readonly weight: number,
    readonly shift = 0,
  ) {
    this.#smooth = weight > 0 ? new Smoothing(weight) : null;
    this.#generation = source.generation;
    // Time advances even when a run steps back.
    this.#resumes = mode === "step" || mode === "epoch";
  }

  /** Whether the run started over: earlier rows are gone. */
  get outdated(): boolean {
    return this.#generation !== this.source.generation;
  }

  extend(): void {
    const column = this.source.column(this.metric);
    const { step } = this.source;
    const { mode } = this;
    const resumes = this.#resumes;
    let done = this.#step;
    const more = this.source.length - this.#taken;
    for (const points of [this.xs, this.ys, this.rows, this.#smooth?.values]) points?.reserve(more);
    for (let row = this.#taken; row < this.source.length; row++) {
      const y = column.at(row);
      // Rows with an epoch give the position of those without one.
      if (y !== y && mode !== "epoch") continue;
      const x = this.#x(row);
      if (y !== y) continue;
      if (x - x !== 0) {
        this.placeless = true;
        continue;
      }
      if (resumes) {
        const at = step.at(row);
        if (at < done && !this.#goBack(at)) return this.#startOver();
        done = at;
      }
      if (x < this.xs.last()) this.#sorted = false;
      if (mode === "elapsed" || mode === "wall") this.#break(row);
      if (y - y !== 0) this.gaps++;
      this.xs.push(x);
      this.ys.push(y);
      this.rows.push(row);
    }
    this.#step = done;
    this.#taken = this.source.length;
    if (!this.#sorted) this.#sort();
    this.#smooth?.extend(this.ys);
  }

  /** The raw points. */
  get raw(): Curve {
    return { xs: this.xs.view(), ys: this.ys.view(), length: this.xs.length };
  }

  /** The main curve: smoothed if requested. */
  get main(): Curve {
    return this.#smooth ? { ...this.raw, ys: this.#smooth.values.view() } : this.raw;
  }

  get smoothed(): boolean {
    return this.#smooth !== null;
  }

  /** Moves the points from `step` on out of the curve; false after too many such moves. */
  #goBack(step: number): boolean {
    let from = this.rows.length;
    while (from > 0 && this.source.step.at(this.rows.at(from - 1)) >= step) from--;
    const [xs, ys] = [this.xs.view().slice(from), this.ys.view().slice(from)];
    this.earlier.push({ xs, ys, length: xs.length });
    this.xs.length = this.ys.length = this.rows.length = from;
    if (this.#smooth) this.#smooth = new Smoothing(this.weight);
    return this.earlier.length <= MAX_PASSES;
  }

  /** Marks `row`'s point, if any, as the first one after a restart. */
  #break(row: number): void {
    const { restarts } = this.source;
    let crossed = false;
    for (; this.#restarts < restarts.length && restarts[this.#restarts]! <= row; this.#restarts++)
      crossed = true;
    if (crossed && this.xs.length > 0) this.breaks.push(this.xs.length);
  }

  #startOver(): void {
    this.#resumes = false;
    this.earlier = [];
    this.breaks.length = this.#restarts = 0;
    this.xs.length = this.ys.length = this.rows.length = this.#taken = this.gaps = 0;
    this.extend();
  }

  /** Bisection needs order, which clocks and out-of-order rows lack. Rare, so a full sort is acceptable. */
  #sort(): void {
    const order = Uint32Array.from({ length: this.xs.length }, (_, index) => index);
    const key = this.xs.view().slice();
    order.sort((a, b) => key[a]! - key[b]!);
    for (const column of [this.xs, this.ys, this.rows]) {
      const old = column.view().slice();
      const view = column.view();
      for (const [to, from] of order.entries()) view[to] = old[from]!;
    }
    this.breaks.length = 0;
    this.#sorted = true;
    if (this.#smooth) this.#smooth = new Smoothing(this.weight);
  }

  #x(row: number): number {
    const { step, epoch, time } = this.source;
    const at = step.at(row);
    if (this.mode === "step") return at + this.shift;
    if (this.mode === "epoch") {
      const reported = epoch.at(row);
      if (reported - reported !== 0) return at * this.#epochs;
      if (at > 0) this.#epochs = reported / at;
      return reported;
    }
    return this.mode === "wall" ? time.at(row) : time.at(row) - this.origin;
  }
}
