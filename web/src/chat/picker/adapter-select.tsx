/** Selects a job's adapter: its final one, or a checkpoint. A running job offers new ones as it saves them. */
import { useEffect, useLayoutEffect } from "preact/hooks";
import { bestStep } from "../../lib/best-step";
import { isOver, jobById } from "../../store/jobs";
import { checkpointsOf, loadCheckpoints } from "../checkpoints";
import type { AdapterTarget, Target } from "../model/types";
import { strengthOf, withStrength } from "../strength";

const EVERY_MS = 10_000;

interface Props {
  target: AdapterTarget;
  onPick: (target: Target) => void;
}

/** Whether the job ended with an adapter, as far as is known. */
const mayBeFinal = (jobId: string): boolean => (jobById(jobId)?.status ?? "completed") === "completed";

/** Why this target cannot answer yet, or null. */
export function targetTrouble(target: Target): string | null {
  if (target.kind === "base") return null;
  const { loaded, steps, error, gone } = checkpointsOf(target.jobId);
  if (gone) return "Job not found";
  if (target.kind !== "final" || mayBeFinal(target.jobId)) return null;
  if (error) return error;
  if (!loaded || steps.length > 0) return "Loading checkpoints";
  const job = jobById(target.jobId);
  return job && isOver(job) ? "This job ended without an adapter" : "This job has saved no checkpoint yet";
}

export function AdapterSelect({ target, onPick }: Props) {
  const { jobId } = target;
  const { steps } = checkpointsOf(jobId);
  const job = jobById(jobId);
  const growing = job !== undefined && !isOver(job);
  const final = mayBeFinal(jobId);
  useEffect(() => {
    void loadCheckpoints(jobId);
    if (!growing) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) void loadCheckpoints(jobId);
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [jobId, growing]);
  const newest = steps.at(-1);
  const best = bestStep(job);
  // Before the user can choose: a later effect would undo the choice.
  useLayoutEffect(() => {
    // There is no final adapter, so the newest checkpoint represents the job.
    if (target.kind === "final" && !final && newest !== undefined)
      onPick(withStrength({ kind: "checkpoint", jobId, step: newest }, strengthOf(target)));
  }, [target.kind, final, newest, jobId]);

  const selected =
    target.kind === "checkpoint" && !steps.includes(target.step) ? [...steps, target.step] : steps;
  const choose = (value: string): void => {
    const chosen: AdapterTarget =
      value === "final" ? { kind: "final", jobId } : { kind: "checkpoint", jobId, step: Number(value) };
    onPick(withStrength(chosen, strengthOf(target)));
  };
  return (
    <select
      class="chat-part ui-select num"
      aria-label="Adapter of the job"
      value={target.kind === "final" ? "final" : String(target.step)}
      onFocus={() => void loadCheckpoints(jobId)}
      onChange={(event) => choose(event.currentTarget.value)}
    >
      {(final || selected.length === 0) && (
        <option value="final">{final ? "final adapter" : "no checkpoint yet"}</option>
      )}
      {[...selected].reverse().map((step) => (
        <option key={step} value={String(step)}>
          step {step}
          {step === best && ", the best"}
        </option>
      ))}
    </select>
  );
}
