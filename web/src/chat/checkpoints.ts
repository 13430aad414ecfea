/** The checkpoints of the displayed jobs, polled while a job still saves new ones. */
import { signal } from "@preact/signals";
import { errorText } from "../api/client";
import type { Job } from "../contract.gen";
import { historyOf } from "./history";
import type { Target } from "./model/types";
import { adapterJobs } from "./targets";

export interface Checkpoints {
  /** In order; the known ones stay while they are requested again. */
  steps: readonly number[];
  loaded: boolean;
  error: string | null;
  /** The backend does not know the job. */
  gone: boolean;
}

const NONE: Checkpoints = { steps: [], loaded: false, error: null, gone: false };
const known = signal<ReadonlyMap<string, Checkpoints>>(new Map());
const requests = new Map<string, Promise<void>>();

export const checkpointsOf = (jobId: string): Checkpoints => known.value.get(jobId) ?? NONE;

export function loadCheckpoints(jobId: string): Promise<void> {
  let ask = requests.get(jobId);
  if (!ask) {
    ask = read(jobId).finally(() => requests.delete(jobId));
    requests.set(jobId, ask);
  }
  return ask;
}

/** Maximum number of histories that are read in search of a checkpoint. */
const MOST = 5;

/** The last checkpoint of the newest job that has one but no final adapter: it is running, failed, or was cancelled. */
export async function newestCheckpoint(jobs: readonly Job[]): Promise<Target | null> {
  const unfinished = adapterJobs(jobs).filter(({ status }) => status !== "completed");
  for (const { id } of unfinished.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).slice(0, MOST)) {
    await loadCheckpoints(id);
    const step = checkpointsOf(id).steps.at(-1);
    if (step !== undefined) return { kind: "checkpoint", jobId: id, step };
  }
  return null;
}

async function read(jobId: string): Promise<void> {
  const before = known.peek().get(jobId) ?? NONE;
  let next: Checkpoints;
  try {
    const history = await historyOf(jobId);
    next = { steps: history?.steps ?? [], loaded: true, error: null, gone: history === null };
  } catch (error) {
    next = { ...before, error: errorText(error) };
  }
  if (JSON.stringify(next) !== JSON.stringify(before)) known.value = new Map(known.peek()).set(jobId, next);
}
