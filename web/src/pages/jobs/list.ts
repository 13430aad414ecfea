/** What the table shows of all jobs: found, filtered and ordered. Pure, and quick with ten thousand. */
import type { Job } from "../../contract.gen";
import { time } from "../../lib/format";

export const STATUSES = ["queued", "running", "completed", "failed", "cancelled"] as const;

export const COLUMNS = ["status", "name", "created", "duration", "last", "best"] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  column: Column;
  descending: boolean;
}

export const NEWEST_FIRST: Order = { column: "created", descending: true };

/** `-created` is the newest first; what is not a column is the default. */
export function parseOrder(text: string | null): Order {
  const descending = text?.startsWith("-") ?? false;
  const column = COLUMNS.find((known) => known === (text ?? "").replace(/^-/, ""));
  return column ? { column, descending } : NEWEST_FIRST;
}

export function orderText({ column, descending }: Order): string | null {
  return column === "created" && descending ? null : `${descending ? "-" : ""}${column}`;
}

/** A first click orders texts upwards and times and numbers from the newest or, for losses, the best. */
export function nextOrder(order: Order, column: Column): Order {
  if (order.column === column) return { column, descending: !order.descending };
  return { column, descending: column === "created" || column === "duration" };
}

/** Every word typed has to be in the name or the id. */
export function search(jobs: readonly Job[], typed: string): readonly Job[] {
  const words = typed.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return jobs;
  return jobs.filter((job) => {
    const text = `${job.name} ${job.id}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** How many have each status; a status nobody told us of counts too. */
export function countByStatus(jobs: readonly Job[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(STATUSES.map((status) => [status, 0]));
  for (const { status } of jobs) counts.set(status, (counts.get(status) ?? 0) + 1);
  return counts;
}

export interface Part {
  /** Rows before it that are not drawn. */
  gap: number;
  from: number;
  to: number;
}

/** The parts of the table to draw: the rows in the window and, with the rest of the gap to the end, the one held outside it. */
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

let names: Intl.Collator | undefined;

/** Made when somebody sorts by name: the first one takes milliseconds that no page has to spare while it opens. */
function byName(): Intl.Collator {
  return (names ??= new Intl.Collator("en", { numeric: true, sensitivity: "base" }));
}

/** `jobs` come newest first. What has no value stands last in either direction. */
export function sorted(jobs: readonly Job[], { column, descending }: Order, now: number): readonly Job[] {
  if (column === "created") return descending ? jobs : jobs.toReversed();
  const sign = descending ? -1 : 1;
  if (column === "name") {
    const { compare } = byName();
    return jobs.toSorted((a, b) => sign * compare(a.name, b.name));
  }
  if (column === "status") {
    const place = (job: Job): number => STATUSES.indexOf(job.status);
    return jobs.toSorted((a, b) => sign * (place(a) - place(b)));
  }
  const keyed = jobs.map((job) => ({ job, key: keyOf(job, column, now) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null);
    return sign * (a.key - b.key);
  });
  return keyed.map(({ job }) => job);
}

function keyOf(job: Job, column: Column, now: number): number | null {
  const value =
    column === "duration"
      ? durationOf(job, now)
      : column === "last"
        ? job.metrics?.evalLoss
        : job.metrics?.bestEvalLoss;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
