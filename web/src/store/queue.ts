/** Describes a job's queue position. Pure. */
import type { Job } from "../contract.gen";
import { number } from "../lib/format";
import { displayName } from "../lib/text";

/** `Queued, next after support-bot`, `Queued, 3rd, behind support-bot`; unknown parts are left out. */
export function queueWords({ queue }: Pick<Job, "queue">): string {
  const position = ordinal(queue?.position);
  if (!queue?.behind) return position ? `Queued, ${position}` : "Queued";
  const name = displayName(queue.behind.name);
  return position === "next"
    ? `Queued, next after ${name}`
    : `Queued, ${position && `${position}, `}behind ${name}`;
}

/** A position in the queue: `next`, `2nd`, `3rd`; empty for an invalid one. */
export function ordinal(position: unknown): string {
  if (typeof position !== "number" || !Number.isInteger(position) || position < 1) return "";
  if (position === 1) return "next";
  const tens = position % 100;
  return `${number(position)}${tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][position % 10] ?? "th")}`;
}
