/** The table's view of all jobs: filtered, counted, and windowed. Pure, and fast with ten thousand. */
import type { Job } from "../../contract.gen";
import { time } from "../../lib/format";

/** Statuses that every backend knows; `paused` appears only if a job is. */
export const STATUSES = ["queued", "running", "completed", "failed", "cancelled"] as const;
const ORDER: readonly string[] = ["queued", "running", "paused", "completed", "failed", "cancelled"];

/** A status's position in a job's life cycle. */
export function lifeOrder(status: string): number {
  return ORDER.indexOf(status);
}

/** Every typed word must be in the name, the id, a tag or the notes. */
export function search(jobs: readonly Job[], typed: string): readonly Job[] {
  const words = typed.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return jobs;
  return jobs.filter((job) => {
    const text = `${job.name} ${job.id} ${job.tags?.join(" ") ?? ""} ${job.notes ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The jobs with a tag, and those with a star, if requested. */
export function marked(jobs: readonly Job[], tag: string, starred: boolean): readonly Job[] {
  if (!tag && !starred) return jobs;
  return jobs.filter((job) => (!tag || job.tags?.includes(tag)) && (!starred || job.starred));
}

/** The jobs of one sweep; without it, of each sweep one job only: one that runs, else the newest. */
export function bySweep(jobs: readonly Job[], sweep: string): readonly Job[] {
  if (sweep) return jobs.filter((job) => job.sweep?.id === sweep);
  const representative = new Map<string, Job>();
  for (const job of jobs) {
    const id = job.sweep?.id;
    if (
      id !== undefined &&
      (!representative.has(id) || (job.status === "running" && representative.get(id)!.status !== "running"))
    )
      representative.set(id, job);
  }
  return representative.size === 0
    ? jobs
    : jobs.filter((job) => !job.sweep || representative.get(job.sweep.id) === job);
}

/** Every tag with its number of jobs, by name. */
export function countTags(jobs: readonly Job[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { tags } of jobs) for (const tag of new Set(tags)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The number of jobs by status; an unknown status counts too. */
export function countByStatus(jobs: readonly Job[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(STATUSES.map((status) => [status, 0]));
  for (const { status } of jobs) counts.set(status, (counts.get(status) ?? 0) + 1);
  return counts;
}

interface Part {
  /** Skipped rows before it. */
  gap: number;
  from: number;
  to: number;
}

/** The parts of the table to draw: the rows in the window, and the focused row outside it, with spacers around them. */
export function parts(start: number, end: number, held: number, count: number): Part[] {
  const drawn = [
    { from: start, to: end },
    { from: count, to: count },
  ];
  if (held >= 0 && (held < start || held >= end))
    drawn.splice(held < start ? 0 : 1, 0, { from: held, to: held + 1 });
  return drawn.map((part, index) => ({ ...part, gap: part.from - (drawn[index - 1]?.to ?? 0) }));
}

/** Milliseconds from start to end, or to `now` while it runs; null before the start. */
export function durationOf(job: Job, now: number): number | null {
  const from = time(job.startedAt);
  if (from === null) return null;
  const to = time(job.completedAt) ?? (job.status === "running" ? now : null);
  return to === null ? null : Math.max(0, to - from);
}
