/** An evaluation on request, as the page follows it. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, errorText } from "../../../api/client";
import type { Job, JobEvaluating } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { refreshJobs } from "../../../store/jobs";
import { announce } from "../../../ui/controls/live";

const LOOK_MS = 1000;

export interface Asking {
  evaluating: JobEvaluating | null;
  error: string;
  /** Whether it was refused because the data have changed. */
  changed: boolean;
  ask: (force: boolean) => Promise<void>;
}

/** Requests an evaluation, of `kind` if given, polls until it is done, and then announces `done`. */
export function useEvaluating(id: string, done: string, kind: object = {}): Asking {
  const path = `/jobs/${encodeURIComponent(id)}`;
  const [evaluating, setEvaluating] = useState<JobEvaluating | null>(null);
  const [error, setError] = useState("");
  const [changed, setChanged] = useState(false);
  const [watched, watch] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = new AbortController();
    const look = async (): Promise<void> => {
      try {
        const { job } = await api<{ job?: Partial<Job> }>(path, { signal: stop.signal });
        const now = isObject(job?.evaluating) ? (job.evaluating as JobEvaluating) : null;
        setEvaluating(now?.state === "failed" ? null : now);
        if (now?.state === "failed") setError(clean(now.error, 1000) || "The comparison failed.");
        else if (now) timer = setTimeout(look, LOOK_MS);
        else if (watched > 0) {
          await refreshJobs();
          announce(done);
        }
      } catch (fault) {
        if (!stop.signal.aborted) timer = setTimeout(look, 5 * LOOK_MS);
        void fault;
      }
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, watched]);
  const ask = async (force: boolean): Promise<void> => {
    setError("");
    setChanged(false);
    try {
      const body = force ? { ...kind, force } : kind;
      const { job } = await api<{ job: Job }>(`${path}/evaluate`, { method: "POST", body });
      setEvaluating(job.evaluating ?? null);
      watch(watched + 1);
    } catch (fault) {
      setError(errorText(fault));
      setChanged(fault instanceof ApiError && fault.extra.changed === true);
    }
  };
  return { evaluating, error, changed, ask };
}

/** How far a requested evaluation is. */
export function progressOf({ state, progress }: JobEvaluating): string {
  if (state === "waiting") return "Waiting for the current training to finish";
  if (!progress) return "Evaluating";
  const { label, done, total, unit } = progress;
  return `${clean(label, 60)}: ${number(done)}${total ? ` of ${number(total)}` : ""} ${clean(unit, 20)}`;
}
