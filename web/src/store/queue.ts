/** Where a job waits, in words. Pure. */
import type { Job } from "../contract.gen";
import { number } from "../format";
import { displayName } from "../text";

/** `Queued, next after support-bot`; what the backend does not say is left out. */
export function queueWords({ queue }: Pick<Job, "queue">): string {
  const place = placeOf(queue?.position);
  const behind = queue?.behind ? ` ${place === "next" ? "after" : "behind"} ${displayName(queue.behind.name)}` : "";
  return place || behind ? `Queued, ${place}${place ? behind : behind.trim()}` : "Queued";
}

/** The place alone, for where there is little room: `next`, `3rd`. */
export function placeOf(position: unknown): string {
  if (typeof position !== "number" || !Number.isInteger(position) || position < 1) return "";
  if (position === 1) return "next";
  const tens = position % 100;
  const ending = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][position % 10] ?? "th");
  return `${number(position)}${ending} in the queue`;
}
