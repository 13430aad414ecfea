/** Merges the list's and the events' knowledge of a job: the events are faster, the list is complete. */
import type { Job } from "../../contract.gen";
import { TERMINAL } from "../../contract.gen";
import type { Run } from "../../events/run";
import { time } from "../../lib/format";

/** A job as passed to the parts of its page. `version` counts the changes of `run`, which is one object. */
export interface JobNow {
  id: string;
  job: Job | undefined;
  run: Run;
  version: number;
  /** The status according to both events and list. */
  status: string;
}

/** The status of an ended job if neither the list nor the events say how it ended. */
const ENDED = "ended";

/** A job that is not in the list, such as one that was deleted elsewhere, has the status that its events imply. */
export function statusOf(job: Job | undefined, run: Run): string {
  const listed = job?.status ?? (run.over ? ENDED : "queued");
  // A job that has run is listed as queued only after it was resumed.
  if (job && listed === "queued" && (run.outcome ?? run.pause) && run.rows.length > 0) return listed;
  // A backend without an event for a cancelled job tells only the list.
  if (run.outcome === "failed" && listed === "cancelled") return listed;
  if (run.outcome !== null && !run.isContinued) return run.outcome;
  if (TERMINAL.has(listed)) return listed;
  if (run.pause) return "paused";
  const begun = run.rows.length > 0 || Number.isFinite(run.startedAt) || run.progress;
  return (listed === "queued" && begun) || (listed === "paused" && run.resumed) ? "running" : listed;
}

export function isActive(status: string): boolean {
  return !TERMINAL.has(status) && status !== ENDED;
}

/** Completed steps and the total; null if unknown. */
export function stepsOf(job: Job | undefined, run: Run): { step: number | null; total: number | null } {
  const seen = run.lastStep;
  const step = Number.isFinite(seen) ? seen : (job?.metrics?.step ?? null);
  const totals = [run.metadata.totalSteps, job?.metrics?.totalSteps, job?.config?.maxSteps];
  const total =
    totals.find(
      (value): value is number => typeof value === "number" && Number.isFinite(value) && value > 0,
    ) ?? null;
  return { step, total };
}

/** The start of elapsed time, in Unix milliseconds. */
export function originOf(job: Job | undefined, run: Run): number {
  const started = Number.isFinite(run.startedAt) ? run.startedAt : time(job?.startedAt);
  return started ?? run.rows.time.at(0);
}

/** Milliseconds the job has run, pauses left out; null before it started. */
export function ranFor(job: Job | undefined, run: Run, now: number): number | null {
  const from = time(job?.startedAt) ?? run.startedAt;
  if (!Number.isFinite(from)) return null;
  const over = time(job?.completedAt) ?? run.endedAt;
  return Math.max(0, (Number.isFinite(over) ? over : now) - from - run.idle);
}
