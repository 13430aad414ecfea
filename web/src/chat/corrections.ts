/** Corrected answers: rows of the project's `data/corrections.jsonl`. */
import { signal } from "@preact/signals";
import { api } from "../api/client";
import type { ChatMessage, Correction, CorrectionAdded, Corrections, SettingsWritten } from "../contract.gen";

/** The file's content and the trainers that use it, as last read; null before that. */
export const corrections = signal<Corrections | null>(null);

export async function loadCorrections(): Promise<void> {
  corrections.value = await api<Corrections>("/corrections");
}

export const addCorrection = (
  messages: readonly ChatMessage[],
  instead: string,
  by: string,
): Promise<CorrectionAdded> =>
  api("/corrections", { method: "POST", body: { messages, instead, by: by.slice(0, 300) } });

export const undoCorrection = (undo: string): Promise<unknown> =>
  api("/corrections/undo", { method: "POST", body: { undo } });

/** Adds the file to a trainer's data set; `preview` only returns how arkor.toml would change. */
export const listInDataset = (
  trainer: string,
  revision: string,
  preview: boolean,
): Promise<SettingsWritten> =>
  api("/corrections/dataset", { method: "POST", body: { trainer, revision, preview } });

/** The last message of a row: the ideal answer. */
export const wantedOf = ({ messages }: Correction): string => messages.at(-1)?.content ?? "";

/** The row's question. */
export const questionOf = ({ messages }: Correction): string => messages.at(-2)?.content ?? "";

/** The newest row with this answer. */
export const rowWith = (rows: readonly Correction[], answer: string): Correction | undefined =>
  rows.findLast((row) => wantedOf(row).trim() === answer.trim());
