/** A job's checkpoints, read from its event history, which every backend has. */

import { request } from "../api/client";
import { CHECKPOINT_REMOVED, CHECKPOINT_SAVED } from "../contract.gen";
import { SseParser } from "../events/sse";

/** Collects the steps of saved, not yet removed checkpoints from the bytes of a history. */
export function checkpointReader(): { push(chunk: Uint8Array): void; steps(): number[] } {
  const saved = new Set<number>();
  const parser = new SseParser({
    event(name, data) {
      if (name !== CHECKPOINT_SAVED && name !== CHECKPOINT_REMOVED) return;
      try {
        const { step } = JSON.parse(data) as { step?: unknown };
        if (typeof step !== "number" || !Number.isSafeInteger(step) || step < 0) return;
        if (name === CHECKPOINT_SAVED) saved.add(step);
        else saved.delete(step);
      } catch {
        // A frame that is not JSON has no step.
      }
    },
  });
  return { push: (chunk) => parser.push(chunk), steps: () => [...saved].sort((a, b) => a - b) };
}

/** Steps at which the job has saved a checkpoint that still exists, in order; null if the backend does not know the job. */
export async function checkpointSteps(jobId: string): Promise<number[] | null> {
  const response = await request(`/jobs/${encodeURIComponent(jobId)}/history`);
  if (response.status === 204) return null;
  const reader = checkpointReader();
  const body = response.body?.getReader();
  while (body) {
    const { done, value } = await body.read();
    if (done) break;
    reader.push(value);
  }
  return reader.steps();
}
