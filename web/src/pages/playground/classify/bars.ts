/** A classifier's answer as bars. Pure. */
import type { ClassifiedText } from "../../../contract.gen";
import { finite } from "../../../lib/json";

export interface Bar {
  label: string;
  /** From 0 to 1. */
  probability: number;
}

/** The labels with their probabilities, the likeliest first. */
export function barsOf({ labels, probabilities }: ClassifiedText): Bar[] {
  if (!Array.isArray(labels) || !Array.isArray(probabilities)) return [];
  const bars = labels.flatMap((label, at) => {
    const probability = finite(probabilities[at]);
    if (typeof label !== "string" || probability === null) return [];
    return [{ label, probability: Math.min(1, Math.max(0, probability)) }];
  });
  return bars.sort((a, b) => b.probability - a.probability);
}

/** `97.3 %`; neither 0 nor 100, which no probability is. */
export function percentOf(probability: number): string {
  if (probability < 0.001) return "< 0.1 %";
  if (probability > 0.999) return "> 99.9 %";
  return `${(100 * probability).toFixed(1)} %`;
}
