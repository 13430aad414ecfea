/** What a running job is doing, in a word, and the time until all of it is done. */
import { clean } from "../lib/text";
import type { Run } from "./run";

const WORDS: Readonly<Record<string, string>> = {
  loading: "Loading",
  sampling: "Sampling",
  training: "Training",
  evaluating: "Evaluating",
  saving: "Saving",
};

/** The backend's own phase, else what is being prepared, else what the rows tell. */
export function phaseWord({ phase, progress, rows }: Run): string {
  if (phase) return Object.hasOwn(WORDS, phase.name) ? WORDS[phase.name]! : clean(phase.name, 60);
  return clean(progress?.label, 60) || (rows.length > 0 ? "Training" : "Starting");
}

/** Milliseconds until the job ends, what follows the last step included; null where the backend does not say. */
export function timeToEnd({ timeLeft }: Run, now: number): number | null {
  return timeLeft ? Math.max(0, timeLeft.ms - (now - timeLeft.from)) : null;
}
