/** Which checkpoint of a job is better than its final adapter beyond doubt. Pure. */
import type { Job } from "../contract.gen";

/** The step of the job's best checkpoint; null where the final adapter is as good, or nobody can tell. */
export function bestStep(job: Job | undefined): number | null {
  const told = job?.evaluation;
  const step = told?.bestVerdict === "better" && told.bestKept === true ? told.bestStep : null;
  return typeof step === "number" && Number.isSafeInteger(step) && step > 0 ? step : null;
}
