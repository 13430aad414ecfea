/**
 * Watched jobs. When one ends, the first tab to notice announces it: by a system notification if allowed, and always by
 * the tab's title and icon.
 */
import { signal } from "@preact/signals";
import type { Job } from "../contract.gen";
import { TERMINAL } from "../contract.gen";
import { onStored, readStored, WATCHED_JOBS, writeStored } from "../lib/storage";
import { displayName } from "../lib/text";
import { jobHref } from "../router";

export interface JobEnd {
  id: string;
  name: string;
  status: string;
}

const watched = signal<ReadonlySet<string>>(new Set(readStored(WATCHED_JOBS)));

/** The last watched job that ended while this tab was not focused; cleared when it is. */
export const unseenEnd = signal<JobEnd | null>(null);

/** The number of running jobs, for the tab's icon. */
export const runningCount = signal(0);

export function isWatched(id: string): boolean {
  return watched.value.has(id);
}

export function watching(): boolean {
  return watched.peek().size > 0;
}

export function watch(id: string): void {
  save(watchedIds().add(id));
}

export function unwatch(id: string): boolean {
  const set = watchedIds();
  const was = set.delete(id);
  save(set);
  return was;
}

/** Whether the browser's permission may still be requested; a refusal is final. */
export function canAsk(): boolean {
  return typeof Notification !== "undefined" && Notification.permission === "default";
}

export async function askPermission(): Promise<boolean> {
  if (typeof Notification === "undefined") return false;
  return (await Notification.requestPermission()) === "granted";
}

/** Finds watched jobs that have ended in a new list; each is announced once, by one tab. */
export function jobsChanged(jobs: readonly Job[]): void {
  let running = 0;
  for (const job of jobs) {
    if (job.status === "running") running += 1;
    if (!watched.peek().has(job.id) || !TERMINAL.has(job.status)) continue;
    if (unwatch(job.id)) announceEnd({ id: job.id, name: displayName(job.name), status: job.status });
  }
  runningCount.value = running;
}

export function startWatch(): void {
  onStored(WATCHED_JOBS, (ids) => {
    watched.value = new Set(ids);
  });
  const seen = (): void => {
    if (!document.hidden && document.hasFocus()) unseenEnd.value = null;
  };
  document.addEventListener("visibilitychange", seen);
  addEventListener("focus", seen);
}

function announceEnd(end: JobEnd): void {
  if (document.hidden || !document.hasFocus()) unseenEnd.value = end;
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
  const note = new Notification(`${end.name} ${end.status}`, {
    body: "Open the job in Arkor Studio.",
    tag: end.id,
  });
  note.onclick = () => {
    window.focus();
    location.hash = jobHref(end.id);
    note.close();
  };
}

/** The ids that all tabs watch; without storage, this tab's. */
function watchedIds(): Set<string> {
  return new Set(readStored(WATCHED_JOBS, [...watched.peek()]));
}

const MAX_WATCHED = 200;

function save(set: ReadonlySet<string>): void {
  const ids = [...set].slice(-MAX_WATCHED);
  watched.value = new Set(ids);
  writeStored(WATCHED_JOBS, ids);
}
