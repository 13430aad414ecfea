/** Whether corrections were learned, judging by the trained model's current answers. */
import { rowWith, wantedOf } from "../../../chat/corrections";
import type { Correction, Job } from "../../../contract.gen";

export type Became = "as wanted" | "as before" | "another answer";

const words = (text: string): string => text.trim().replace(/\s+/gu, " ");

export function became(row: Correction, answer: string): Became {
  if (words(answer) === words(wantedOf(row))) return "as wanted";
  return row.instead !== undefined && words(answer) === words(row.instead) ? "as before" : "another answer";
}

/** The rows that existed when the job was created, each wanted answer to a question once. */
export function learnedBy(job: Job, rows: readonly Correction[]): Correction[] {
  const createdAt = Date.parse(job.createdAt);
  // A row without a time may have existed.
  const known = rows.filter(({ at }) => !(at !== undefined && Date.parse(at) > createdAt));
  return known.filter(
    (row) =>
      rowWith(
        known.filter((other) => sameQuestion(row, other)),
        wantedOf(row),
      ) === row,
  );
}

const sameQuestion = (first: Correction, other: Correction): boolean =>
  JSON.stringify(first.messages.slice(0, -1)) === JSON.stringify(other.messages.slice(0, -1));
