/**
 * TensorBoard's smoothing: an exponential moving average, debiased as Adam's moments are, so that the first points are not
 * drawn towards zero (tensorboard/components/vz_line_chart2/line-chart.ts, `resmoothDataset`).
 */
import { Numbers } from "../../events/number-array";

export class Smoothing {
  readonly values = new Numbers();
  #last = 0;
  /** 1 − weight^count, kept as weight^count. */
  #bias = 1;

  /** `weight` in [0, 1): the share of the past. */
  constructor(readonly weight: number) {}

  /** Processes the values since the last call. Non-finite values pass through and don't affect the average. */
  extend(source: Numbers): void {
    for (let i = this.values.length; i < source.length; i++) this.values.push(this.#next(source.at(i)));
  }

  #next(value: number): number {
    if (!Number.isFinite(value)) return value;
    this.#last = this.#last * this.weight + (1 - this.weight) * value;
    this.#bias *= this.weight;
    return this.#last / (1 - this.#bias);
  }
}
