/** Votes and ratings: rows of the project's data, each kind in a file of its own, and the run that learns from them. */
import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { ChatMessage, DatasetSource, Job, Preference, Preferences } from "../contract.gen";
import { isObject } from "../lib/json";

const CORRECTIONS = "data/corrections.jsonl";

/** The files' content, as last read; null before that. */
export const preferences = signal<Preferences | null>(null);

export async function loadPreferences(): Promise<void> {
  preferences.value = await api<Preferences>("/preferences");
}

/** A pair of answers, or an answer with its rating; `models` in the same order. */
export type Preferred = { prompt: readonly ChatMessage[]; models: readonly string[]; by: string } & (
  | { chosen: string; rejected: string }
  | { completion: string; label: boolean }
);

export async function addPreference(preferred: Preferred): Promise<string> {
  const { id } = await api<Preference>("/preferences", { method: "POST", body: preferred });
  void loadPreferences().catch(() => undefined);
  return id ?? "";
}

/** Removes one; refused once a job has learned from it. */
export async function removePreference(id: string): Promise<void> {
  await api("/preferences/undo", { method: "POST", body: { id } });
  void loadPreferences().catch(() => undefined);
}

/** How many there are, corrections included. */
export const countOf = ({ pairs, ratings, corrections }: Preferences): number =>
  pairs + ratings + corrections;

/** The method that learns from all of them: only KTO accepts ratings, and counts a pair as two. */
export const methodFor = ({ ratings }: Preferences): "dpo" | "kto" => (ratings > 0 ? "kto" : "dpo");

/** The files that contain any. */
export function sourceFor({ files, corrections }: Preferences): DatasetSource {
  const paths = [...files, ...(corrections > 0 ? [CORRECTIONS] : [])];
  const sources = paths.map((path): DatasetSource => ({ type: "file", path }));
  return sources.length === 1 ? sources[0]! : { type: "list", sources };
}

/** Whether a data set includes one of these files of the folder `data`. */
export function includes(source: DatasetSource | undefined, ...files: string[]): boolean {
  if (!isObject(source)) return false;
  if (Array.isArray(source.sources)) return source.sources.some((part) => includes(part, ...files));
  return source.type === "file" && [...files, "data", "."].includes(source.path ?? "");
}

/** The votes and ratings that a job learned from: those given before it was created. */
export function learnedFrom(job: Job, { rows }: Preferences): Preference[] {
  const source = job.config?.datasetSource;
  const createdAt = Date.parse(job.createdAt);
  return rows.filter(
    ({ file, at }) => includes(source, file) && !(at !== undefined && Date.parse(at) > createdAt),
  );
}
