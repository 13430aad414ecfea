/** How the configurations of several jobs differ, setting by setting. */

import type { Job, JobConfig } from "../../contract.gen";
import { configOf, settings, shareable } from "../../lib/job-config-text";
import { finite, isObject } from "../../lib/json";
import { clean } from "../../lib/text";

interface Difference {
  label: string;
  /** The config's field, for the setting's help. */
  field: string;
  /** In the order of the jobs; null if a job does not set it or is unknown. */
  values: readonly (string | null)[];
  same: boolean;
}

/**
 * Every setting of any of the jobs, in reading order. Exact values are compared, since short forms are rounded; if only
 * the short forms are equal, the exact values are shown.
 */
export function differences(jobs: readonly (Job | undefined)[]): Difference[] {
  const lists = jobs.map((job) =>
    job ? valuesOf(shareable(configOf(job)), job.config) : new Map<string, Value>(),
  );
  const labels = new Set(lists.flatMap((list) => [...list.keys()]));
  return [...labels].map((label) => {
    const values = lists.map((list) => list.get(label) ?? null);
    const all = values.filter((_, index) => jobs[index] !== undefined);
    // A job that does not report its defaults may have run with the same value as one that does.
    const present = all.filter((value) => value !== null);
    const known = present.some(({ explicit }) => explicit) ? all : present;
    const kinds = (of: (value: Value) => string): number =>
      new Set(known.map((value) => value && of(value))).size;
    const ambiguous = kinds(({ words }) => words) < kinds(({ raw }) => raw);
    const field = lists.map((list) => list.get(label)?.field).find(Boolean) ?? "";
    return {
      label,
      field,
      values: values.map((value) => value && (ambiguous ? value.raw : value.words)),
      same: kinds(({ raw }) => raw) < 2,
    };
  });
}

interface Value {
  words: string;
  raw: string;
  field: string;
  /** Whether the job's config sets it; otherwise it is a default. */
  explicit: boolean;
}

function valuesOf(config: JobConfig, requested: JobConfig): Map<string, Value> {
  const raw = new Map(
    Object.entries(config).flatMap(([key, value]) =>
      settings({ [key]: value } as unknown as JobConfig).map(({ label }) => [label, rawOf(value)] as const),
    ),
  );
  return new Map(
    settings(config).map(({ field, label, value }) => [
      label,
      { words: value, raw: raw.get(label) ?? value, field, explicit: field in requested },
    ]),
  );
}

/** The value as JSON; an object's keys are sorted, because their order carries no meaning. */
function rawOf(value: unknown): string {
  const plain = typeof value === "object" && value !== null && !Array.isArray(value);
  return clean(JSON.stringify(plain ? Object.fromEntries(Object.entries(value).sort()) : value), 2000);
}

/** How much the adapter's loss exceeds its base's on a part of an evaluation; null if unknown. */
export function changeOf(part: unknown): number | null {
  const difference = isObject(part) && isObject(part.difference) ? part.difference : {};
  const mean = finite(difference.mean);
  return mean === null ? null : -mean || 0;
}

/** A sentence on how two adapters have changed on general questions; empty if one of them was not asked any. */
export function generalSentence(first: Job | undefined, other: Job | undefined, otherName: string): string {
  const [mine, theirs] = [first, other].map((job) => changeOf(job?.evaluation?.general));
  if (typeof mine !== "number" || typeof theirs !== "number") return "";
  const words = (change: number): string =>
    Math.abs(change) < 0.005
      ? "is unchanged"
      : `${change > 0 ? "rose" : "fell"} by ${Math.abs(change).toFixed(2)}`;
  return `General questions: its loss ${words(mine)}; that of ${otherName} ${words(theirs)}.`;
}

export const MOST = 12;

/** The job ids in the address, without duplicates, and no more than the chart has distinct styles. */
export function idsOf(query: URLSearchParams): string[] {
  return [
    ...new Set(
      (query.get("jobs") ?? "")
        .split(",")
        .map((id) => id.trim())
        .filter(Boolean),
    ),
  ].slice(0, MOST);
}

const TONES = 7;
const DASHES = [undefined, "7 4", "2 4"] as const;

/** Colours first, then the same colours dashed, so that no two jobs look alike. */
export function styleOf(index: number): { tone: string; dash?: string } {
  const dash = DASHES[Math.floor(index / TONES) % DASHES.length];
  return { tone: `--series-${(index % TONES) + 1}`, ...(dash ? { dash } : {}) };
}

/** The index of the smallest (or largest) number; -1 if no single number is best. */
export function bestIndex(values: readonly (number | null)[], largest = false): number {
  const numbers = values.filter((value): value is number => value !== null && Number.isFinite(value));
  const best = largest ? Math.max(...numbers) : Math.min(...numbers);
  const ones = numbers.filter((value) => value === best);
  return numbers.length > 1 && ones.length === 1 ? values.indexOf(best) : -1;
}
