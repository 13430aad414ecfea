/** A training method's own figures in words. Pure. */
import type { Column } from "../../../events/rows";
import type { Run } from "../../../events/run";

/** How many values at either end to average for a comparison: single batches vary. */
const SOME = 5;

/** The loss within a label: `loss`, or `DPO loss`. */
export const lossOf = ({ measure }: Pick<Run, "measure">): string => (measure === "Loss" ? "loss" : measure);

/** A label within a phrase: "mean reward", but "KL divergence". */
export const within = (label: string): string =>
  /^[A-Z][a-z]/.test(label) ? label[0]!.toLowerCase() + label.slice(1) : label;

/** What to do if a preference method makes both answers less likely; empty if it does not. */
export function drift(chosen: Column, rejected: Column): string {
  const [first, other] = [change(chosen), change(rejected)];
  if (!(first < 0 && other < 0)) return "";
  return "Both answers have become less likely, the chosen one too: the model moves away from both. A lower learning rate, a higher beta, or rpo_alpha holds it.";
}

/** By how much the mean of the last values exceeds that of the first; NaN for too few. */
function change(column: Column): number {
  const values = column.values().filter(Number.isFinite);
  if (values.length < 2 * SOME) return NaN;
  const mean = (some: number[]): number => some.reduce((sum, value) => sum + value, 0) / some.length;
  return mean(values.slice(-SOME)) - mean(values.slice(0, SOME));
}
