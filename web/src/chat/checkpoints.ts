/** The checkpoints of the jobs that somebody looks at, asked for again while a job still makes them. */
import { signal } from "@preact/signals";
import { errorText } from "../api";
import { checkpointSteps } from "./history";

export interface Checkpoints {
  /** In order; what was known stays while it is asked for again. */
  steps: readonly number[];
  loaded: boolean;
  error: string | null;
  /** The backend knows no such job. */
  gone: boolean;
}

const NONE: Checkpoints = { steps: [], loaded: false, error: null, gone: false };
const known = signal<ReadonlyMap<string, Checkpoints>>(new Map());
const asking = new Map<string, Promise<void>>();

export const checkpointsOf = (jobId: string): Checkpoints => known.value.get(jobId) ?? NONE;

export function loadCheckpoints(jobId: string): Promise<void> {
  let ask = asking.get(jobId);
  if (!ask) {
    ask = read(jobId).finally(() => asking.delete(jobId));
    asking.set(jobId, ask);
  }
  return ask;
}

async function read(jobId: string): Promise<void> {
  const before = known.peek().get(jobId) ?? NONE;
  let next: Checkpoints;
  try {
    const steps = await checkpointSteps(jobId);
    next = { steps: steps ?? [], loaded: true, error: null, gone: steps === null };
  } catch (error) {
    next = { ...before, error: errorText(error) };
  }
  if (JSON.stringify(next) !== JSON.stringify(before)) known.value = new Map(known.peek()).set(jobId, next);
}
