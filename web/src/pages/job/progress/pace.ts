/** A run's recent speed and its time left; null if unknown. */
import type { Rows } from "../../../events/rows";
import type { Run } from "../../../events/run";
import { duration } from "../../../lib/format";
import { clean } from "../../../lib/text";

/** Rows of the average: enough to even out an evaluation in between, few enough to notice a change. */
const WINDOW = 40;
const QUIET_MS = 20_000;

/** `quiet`: no step has arrived for too long. */
type TimeLeft = { ms: number } | { why: string; quiet?: true };

/** The longest step that counts, relative to the usual one: a suspended laptop says nothing about the speed. */
const OUTLIER = 10;

/** Steps per millisecond over the last rows; null with fewer than two steps with times. */
export function recentSpeed({ step, time }: Rows): number | null {
  const last = newest(time.length - 1, time);
  const paces: { steps: number; ms: number }[] = [];
  for (let row = Math.max(1, last - WINDOW + 1); row <= last; row++) {
    const steps = step.at(row) - step.at(row - 1);
    const ms = time.at(row) - time.at(row - 1);
    if (steps >= 0 && ms >= 0) paces.push({ steps, ms });
  }
  const usual = paces
    .filter(({ steps }) => steps > 0)
    .map(({ steps, ms }) => ms / steps)
    .sort((a, b) => a - b);
  const limit = OUTLIER * (usual[usual.length >> 1] || Infinity);
  const steps = paces.reduce((sum, pace) => sum + pace.steps, 0);
  const ms = paces.reduce((sum, pace) => sum + Math.min(pace.ms, limit * Math.max(1, pace.steps)), 0);
  return steps > 0 && ms > 0 ? steps / ms : null;
}

function newest(from: number, time: Rows["time"]): number {
  let index = from;
  while (index >= 0 && !Number.isFinite(time.at(index))) index--;
  return index;
}

/** `total`: all steps. `now` is in Unix milliseconds, by the backend's clock. */
export function timeLeft(rows: Rows, total: number | null, now: number): TimeLeft {
  if (rows.length === 0) return { why: "no step yet" };
  if (total === null) return { why: "number of steps unknown" };
  const speed = recentSpeed(rows);
  if (speed === null) return { why: "known after the second step" };
  const steps = Math.max(0, total - rows.step.last());
  const last = rows.time.at(newest(rows.time.length - 1, rows.time));
  const since = Math.max(0, now - Math.max(last, rows.resumedAt));
  if (since > Math.max(QUIET_MS, 6 / speed)) return { why: `no step for ${duration(since)}`, quiet: true };
  return { ms: Math.max(0, steps / speed - since) };
}

/** Until the job's end if the backend reports it, including work after the last step; else until that. */
export function jobTimeLeft(run: Run, total: number | null, now: number): TimeLeft {
  const bySteps = timeLeft(run.rows, total, now);
  const { timeLeft: estimate, phase } = run;
  if (estimate === null || !Number.isFinite(estimate.from)) {
    // After a resume at its last step a job still evaluates, and no step tells how long that takes.
    const after = total !== null && run.rows.step.last() >= total && (phase?.name ?? TRAINING) !== TRAINING;
    if (after) return { why: "not known after the last step" };
    // An extended job loads its model long after its last step.
    return "quiet" in bySteps && phase !== null && phase.name !== TRAINING
      ? { why: "known after the next step" }
      : bySteps;
  }
  const hangs = (phase?.name ?? TRAINING) === TRAINING && "quiet" in bySteps;
  if (hangs) return bySteps;
  const ms = estimate.ms - Math.max(0, now - estimate.from);
  return ms < -QUIET_MS ? { why: "longer than estimated" } : { ms: Math.max(0, ms) };
}

const TRAINING = "training";
export const PHASES: Readonly<Record<string, string>> = {
  fetching: "Fetching the model",
  loading: "Loading data and model",
  sampling: "Answering prompts",
  [TRAINING]: "Training",
  evaluating: "Evaluating",
  saving: "Saving",
};

/** What a running job is doing, as text. */
export function phaseWords({ phase, progress, rows }: Run): string {
  const fetching = clean(progress?.label, 60);
  if (phase === null) return rows.length > 0 ? PHASES[TRAINING]! : fetching || "Starting";
  if ((phase.name === "loading" || phase.name === "fetching") && fetching) return fetching;
  return Object.hasOwn(PHASES, phase.name) ? PHASES[phase.name]! : clean(phase.name, 60);
}

/** Without seconds if minutes remain. */
export function shortDuration(ms: number): string {
  return ms >= 600_000 && ms < 3_600_000 ? `${Math.round(ms / 60_000)} min` : duration(ms);
}

/** The last finite value; NaN without one. */
export function lastFinite(values: Rows["loss"]): number {
  for (let index = values.length - 1; index >= 0; index--)
    if (Number.isFinite(values.at(index))) return values.at(index);
  return NaN;
}

/** Mean of the last few finite values: a flickering rate is unreadable. */
export function recentMean(values: Rows["tokensPerSecond"], count = 8): number {
  let sum = 0;
  let finiteCount = 0;
  for (let index = values.length - 1; index >= 0 && finiteCount < count; index--) {
    if (!Number.isFinite(values.at(index))) continue;
    sum += values.at(index);
    finiteCount++;
  }
  return sum / finiteCount;
}
