/** Questions to open a conversation with: the job's sample prompts or held-out rows, as it never trained on them. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../../../api/client";
import type { Target } from "../../../chat/model/types";
import type { Job } from "../../../contract.gen";
import { isObject } from "../../../lib/json";
import { features } from "../../../store/features";
import { jobById } from "../../../store/jobs";

const GENERAL = ["Who are you, and what can you do?", "Write to a customer whose parcel is late."];
const MOST = 3;
const LONGEST = 300;

/** Empty until the questions are there: what is shown must not change under the pointer. */
export function useOpeners(target: Target | undefined): readonly string[] {
  const job = target && target.kind !== "base" ? jobById(target.jobId) : undefined;
  const own = promptsOf(job);
  const evaluatedJob = own.length === 0 && job?.evaluation && features.value.has("evaluation") ? job.id : "";
  const [heldOut, setHeldOut] = useState<{ id: string; questions: string[] }>({ id: "", questions: [] });
  useEffect(() => {
    if (!evaluatedJob) return;
    const gone = new AbortController();
    api<{ rows?: unknown }>(`/jobs/${encodeURIComponent(evaluatedJob)}/evaluation`, { signal: gone.signal })
      .then(({ rows }) => questionsOf(rows))
      .catch(() => [])
      .then((questions) => gone.signal.aborted || setHeldOut({ id: evaluatedJob, questions }));
    return () => gone.abort();
  }, [evaluatedJob]);
  if (own.length > 0) return own;
  if (heldOut.id !== evaluatedJob) return evaluatedJob ? [] : GENERAL;
  return heldOut.questions.length > 0 ? heldOut.questions : GENERAL;
}

/** The sample prompts that the job's settings name. */
export function promptsOf(job: Job | undefined): string[] {
  const samples: unknown = job?.config?.samples;
  return Array.isArray(samples) ? usable(samples) : [];
}

/** The questions of held-out rows; a row's later question would lack the answers before it. */
export function questionsOf(rows: unknown): string[] {
  const answered = (row: Record<string, unknown>): boolean =>
    Array.isArray(row.messages) && row.messages.some((turn) => isObject(turn) && turn.role === "assistant");
  const first = (Array.isArray(rows) ? rows : []).filter(isObject).filter((row) => !answered(row));
  return usable(first.map((row) => row.question));
}

function usable(texts: unknown[]): string[] {
  const short = texts.filter((text): text is string => typeof text === "string" && text.trim() !== "");
  return [...new Set(short.filter((text) => text.length <= LONGEST))].slice(0, MOST);
}
