/** What the playground needs of a job's event history, which every backend has: checkpoints and prompts. */

import { request } from "../api/client";
import { CHECKPOINT_REMOVED, CHECKPOINT_SAVED, SAMPLE_CREATED } from "../contract.gen";
import { SseParser } from "../events/sse";
import { finite, isObject } from "../lib/json";

const NAMES: readonly string[] = [CHECKPOINT_SAVED, CHECKPOINT_REMOVED, SAMPLE_CREATED];
const MOST_PROMPTS = 50;

interface History {
  /** Steps at which the job has saved a checkpoint that still exists, in order. */
  steps: number[];
  /** The prompts that it answered during the run, in order. */
  questions: string[];
}

/** Collects them from the bytes of a history. */
export function historyReader(): { push(chunk: Uint8Array): void; read(): History } {
  const saved = new Set<number>();
  const prompts = new Map<number, string>();
  const parser = new SseParser({
    event(name, data) {
      if (!NAMES.includes(name)) return;
      let event: unknown;
      try {
        event = JSON.parse(data);
      } catch {
        return; // A frame that is not JSON has no step.
      }
      if (!isObject(event)) return;
      const { step, number, prompt } = event;
      if (name === SAMPLE_CREATED) {
        const at = finite(number);
        if (at !== null && typeof prompt === "string" && !isAnswered(event) && prompts.size < MOST_PROMPTS)
          prompts.set(at, prompt);
        return;
      }
      if (typeof step !== "number" || !Number.isSafeInteger(step) || step < 0) return;
      if (name === CHECKPOINT_SAVED) saved.add(step);
      else saved.delete(step);
    },
  });
  return {
    push: (chunk) => parser.push(chunk),
    read: () => ({
      steps: [...saved].sort((a, b) => a - b),
      questions: [...prompts].sort(([a], [b]) => a - b).map(([, text]) => text),
    }),
  };
}

/** Whether something before the question was answered: alone, it would be another question. */
export const isAnswered = ({ messages }: Readonly<Record<string, unknown>>): boolean =>
  Array.isArray(messages) && messages.some((turn) => isObject(turn) && turn.role === "assistant");

/** Null if the backend does not know the job. */
export async function historyOf(jobId: string, signal?: AbortSignal): Promise<History | null> {
  const response = await request(`/jobs/${encodeURIComponent(jobId)}/history`, signal ? { signal } : {});
  if (response.status === 204) return null;
  const reader = historyReader();
  const body = response.body?.getReader();
  while (body) {
    const { done, value } = await body.read();
    if (done) break;
    reader.push(value);
  }
  return reader.read();
}
