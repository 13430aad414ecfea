/** Which checkpoint of a job is significantly better than its final adapter. Pure. */
import type { Job } from "../contract.gen";

/** The step of the job's best checkpoint; null if the final adapter is as good, or that is unknown. */
export function bestStep(job: Job | undefined): number | null {
  const evaluation = job?.evaluation;
  const step =
    evaluation?.bestVerdict === "better" && evaluation.bestKept === true ? evaluation.bestStep : null;
  return typeof step === "number" && Number.isSafeInteger(step) && step > 0 ? step : null;
}

/** A finished job's model for an address: its final adapter, or the checkpoint that is better. */
export function answererOf(job: Job): string {
  const step = bestStep(job);
  return step === null ? `final:${job.id}` : `checkpoint:${job.id}:${step}`;
}
