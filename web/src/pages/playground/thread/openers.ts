/** Questions to open a conversation with: those that the run showed, else held-out rows. It trained on neither. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../../../api/client";
import { historyOf, isAnswered } from "../../../chat/history";
import type { Target } from "../../../chat/model/types";
import { newestAdapter } from "../../../chat/targets";
import { isObject } from "../../../lib/json";
import { features } from "../../../store/features";
import { jobById, jobs } from "../../../store/jobs";

const GENERAL = ["Who are you, and what can you do?", "Write to a customer whose parcel is late."];
const MOST = 3;
const LONGEST = 300;

/**
 * Those of the first adapter among the targets, else of the newest one. Empty until they are there: what is shown must
 * not change under the pointer.
 */
export function useOpeners(targets: readonly Target[]): readonly string[] {
  const adapter = targets.find(({ kind }) => kind !== "base") ?? newestAdapter(jobs.value);
  const id = adapter && adapter.kind !== "base" ? adapter.jobId : "";
  const evaluated = Boolean(jobById(id)?.evaluation) && features.value.has("evaluation");
  const [known, setKnown] = useState<{ id: string; questions: string[] }>({ id: "", questions: [] });
  useEffect(() => {
    if (!id) return;
    const gone = new AbortController();
    questionsOf(id, evaluated, gone.signal)
      .catch(() => [])
      .then((questions) => gone.signal.aborted || setKnown({ id, questions }));
    return () => gone.abort();
  }, [id, evaluated]);
  if (known.id !== id) return [];
  return known.questions.length > 0 ? known.questions : GENERAL;
}

async function questionsOf(id: string, evaluated: boolean, signal: AbortSignal): Promise<string[]> {
  const shown = usable((await historyOf(id, signal))?.questions ?? []);
  if (shown.length > 0 || !evaluated) return shown;
  return heldOut(
    (await api<{ rows?: unknown }>(`/jobs/${encodeURIComponent(id)}/evaluation`, { signal })).rows,
  );
}

/** The questions of held-out rows; a row's later question would lack the answers before it. */
export function heldOut(rows: unknown): string[] {
  const first = (Array.isArray(rows) ? rows : []).filter(isObject).filter((row) => !isAnswered(row));
  return usable(first.map((row) => row.question));
}

function usable(texts: unknown[]): string[] {
  const short = texts.filter((text): text is string => typeof text === "string" && text.trim() !== "");
  return [...new Set(short.filter((text) => text.length <= LONGEST))].slice(0, MOST);
}
