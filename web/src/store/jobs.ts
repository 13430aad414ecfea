/** The list of jobs, requested every 5 s by one poll for the whole page. */
import { computed, signal } from "@preact/signals";
import { ApiError, api, errorText, type Options, request } from "../api/client";
import { backendStatus, backendTrouble, OUTDATED, staleSeconds } from "../api/connection";
import type { Job, JobChanges, Queue, QueueChanges } from "../contract.gen";
import {
  REQUESTS_HEADER,
  STALE_HEADER,
  STALE_STATUS_HEADER,
  STALE_WHY_HEADER,
  TERMINAL,
} from "../contract.gen";
import { reopenStreams } from "../events/use-stream";
import { asJob } from "./job";
import { type Poll, poll } from "./poll";
import { jobsChanged, watching } from "./watch";

const EVERY_MS = 5000;
const HIDDEN_MS = 15_000;

const listed = signal<readonly Job[]>([]);
/** Jobs that are about to be deleted: no list includes them. */
export const leaving = signal<ReadonlySet<string>>(new Set());
/** Newest first. */
export const jobs = computed(() =>
  leaving.value.size === 0 ? listed.value : listed.value.filter(({ id }) => !leaving.value.has(id)),
);
/** How many runs programs want to start; a person allows or denies each. */
export const startRequests = signal(0);
/** Whether waiting jobs are held back. */
export const queueHeld = signal(false);
/** Why the backend can store nothing now, such as a full disk, and what helps. */
export const storeTrouble = signal<string | null>(null);
export const jobsState = signal<{ loaded: boolean; error: string | null }>({ loaded: false, error: null });

const byId = computed(() => new Map(jobs.value.map((job) => [job.id, job])));

export function jobById(id: string): Job | undefined {
  return byId.value.get(id);
}

export function isOver(job: Job): boolean {
  return TERMINAL.has(job.status);
}

let etag = "";
let current: Poll | null = null;

async function readJobs(): Promise<void> {
  try {
    const response = await request("/jobs", etag ? { headers: { "If-None-Match": etag } } : {});
    const stale = response.headers.get(STALE_HEADER);
    staleSeconds.value = stale === null ? null : Number(stale) || 0;
    backendTrouble.value = decodedHeader(response.headers.get(STALE_WHY_HEADER));
    backendStatus.value = Number(response.headers.get(STALE_STATUS_HEADER)) || null;
    startRequests.value = Number(response.headers.get(REQUESTS_HEADER)) || 0;
    if (response.status === 304) await response.arrayBuffer();
    else {
      const listing = (await response.json()) as {
        jobs: unknown[];
        queue?: Partial<Queue>;
        trouble?: unknown;
      };
      const { jobs: sent, queue, trouble } = listing;
      const list = sent.map(asJob).filter((job) => job !== null);
      etag = response.headers.get("ETag") ?? "";
      // ISO times in UTC sort as text, which matters with ten thousand of them.
      queueHeld.value = queue?.held === true;
      storeTrouble.value = typeof trouble === "string" ? trouble : null;
      listed.value = list.sort((a, b) =>
        a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0,
      );
      jobsChanged(list);
    }
    jobsState.value = { loaded: true, error: null };
    reopenStreams((id) => {
      const job = jobById(id);
      return job && isOver(job);
    });
  } catch (error) {
    // The shell reports an unreachable daemon; every other error is the backend's.
    if (!(error instanceof ApiError && error.status === 0)) backendTrouble.value = errorText(error);
    backendStatus.value = error instanceof ApiError && error.status === OUTDATED ? OUTDATED : null;
    jobsState.value = { loaded: jobsState.peek().loaded, error: errorText(error) };
  }
}

function decodedHeader(header: string | null): string | null {
  try {
    return header === null ? null : decodeURIComponent(header);
  } catch {
    return header;
  }
}

export function startJobs(): void {
  current ??= poll(
    readJobs,
    () => EVERY_MS,
    () => (watching() ? HIDDEN_MS : null),
  );
}

export async function refreshJobs(): Promise<void> {
  await current?.now();
}

const pathOf = (id: string): string => `/jobs/${encodeURIComponent(id)}`;

/** Asks the backend to cancel; throws `ApiError`. */
export async function cancelJob(id: string): Promise<void> {
  await actOnJob(id, "cancel");
}

/** Pauses, resumes or cancels a job; returns the job as the backend answers. Throws `ApiError`. */
export async function actOnJob(
  id: string,
  action: "cancel" | "pause" | "resume" | "extend" | "adjust",
  body?: object,
): Promise<Job | null> {
  const job = await change(id, `/${action}`, { method: "POST", body });
  await refreshJobs();
  return job;
}

/** Changes a job's name, notes, tags or star; throws `ApiError`. */
export async function editJob(id: string, changes: JobChanges): Promise<void> {
  await change(id, "", { method: "PATCH", body: changes });
  void refreshJobs();
}

async function change(id: string, path: string, options: Options): Promise<Job | null> {
  const answer = await api<{ job?: unknown } | null>(pathOf(id) + path, options);
  const changed = asJob(answer?.job);
  if (changed) listed.value = listed.peek().map((listedJob) => (listedJob.id === id ? changed : listedJob));
  return changed;
}

/** Deletes a job and its files; throws `ApiError`. */
export async function deleteJob(id: string): Promise<void> {
  await api(pathOf(id), { method: "DELETE" });
}

/** Reorders or holds the queue; throws `ApiError`. */
export async function arrangeQueue(changes: QueueChanges): Promise<void> {
  await api("/queue", { method: "PATCH", body: changes });
  await refreshJobs();
}
