/** The list of jobs, asked for every 5 s by one poll for the whole page. */
import { computed, signal } from "@preact/signals";
import { ApiError, api, errorText, request } from "../api/client";
import { backendTrouble, staleSeconds } from "../api/connection";
import type { Job } from "../contract.gen";
import { STALE_HEADER, STALE_WHY_HEADER, TERMINAL } from "../contract.gen";
import { asJob } from "./job";
import { type Poll, poll } from "./poll";
import { jobsChanged, watching } from "./watch";

const EVERY_MS = 5000;
const HIDDEN_MS = 15_000;

/** Newest first. */
export const jobs = signal<readonly Job[]>([]);
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
    if (response.status === 304) await response.arrayBuffer();
    else {
      const { jobs: sent } = (await response.json()) as { jobs: unknown[] };
      const list = sent.map(asJob).filter((job) => job !== null);
      etag = response.headers.get("ETag") ?? "";
      // ISO times in UTC sort as text, which matters with ten thousand of them.
      jobs.value = list.sort((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0));
      jobsChanged(list);
    }
    jobsState.value = { loaded: true, error: null };
  } catch (error) {
    // The shell reports a daemon that is gone; every other error is the backend's.
    if (!(error instanceof ApiError && error.status === 0)) backendTrouble.value = errorText(error);
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

/** Asks the backend to cancel; throws `ApiError`. */
export async function cancelJob(id: string): Promise<void> {
  await api(`/jobs/${encodeURIComponent(id)}/cancel`, { method: "POST" });
  await refreshJobs();
}
