/** Differences between two readings of the project, in the settings' terms. Pure. */

import type { JobConfig, Trainer } from "../contract.gen";
import { number } from "../lib/format";
import { settings, shareable } from "../lib/job-config-text";
import { clean } from "../lib/text";

export interface Change {
  label: string;
  from: string;
  to: string;
}

const NOTHING = "not set";
const EXAMPLES = "Examples";

/** Empty if both would train the same, if there was no such trainer before, or if one is unreadable. */
export function changesOf(before: Trainer | undefined, after: Trainer | undefined): Change[] {
  if (!before?.config || !after?.config) return [];
  const [old, now] = [valuesOf(before.config), valuesOf(after.config)];
  const changes: Change[] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(key), now.get(key)];
    if (was?.json === is?.json) continue;
    // Short forms are rounded: if they are equal, the whole values are shown.
    const same = was?.words === is?.words;
    const say = (value: Value | undefined): string =>
      value === undefined ? NOTHING : same ? value.raw : value.words;
    changes.push({ label: (is ?? was)!.label, from: say(was), to: say(is) });
  }
  if (after.rows !== undefined && before.rows !== after.rows)
    changes.push({ label: EXAMPLES, from: number(before.rows), to: number(after.rows) });
  return changes;
}

/** `arkor.toml changed`, or that its data did. */
export const changedWords = (changes: readonly Change[]): string =>
  changes.length === 1 && changes[0]!.label === EXAMPLES ? "The data changed" : "arkor.toml changed";

/** `steps 40 → 60, learning rate 0.002 → 0.001` */
export function changeWords(changes: readonly Change[]): string {
  return changes.map(({ label, from, to }) => `${lowerFirst(label)} ${from} → ${to}`).join(", ");
}

interface Value {
  label: string;
  words: string;
  /** Each value twice: as display text, and for comparison. */
  raw: string;
  json: string;
}

function valuesOf(config: JobConfig | undefined): Map<string, Value> {
  const values = new Map<string, Value>();
  // Secrets in a data set's address are never shown.
  const shared = config && (shareable(config) as unknown as Record<string, unknown>);
  for (const [key, value] of Object.entries(config ?? {})) {
    const [setting] = settings({ [key]: value } as unknown as JobConfig);
    if (setting) {
      const part = shared?.[key];
      const raw = typeof part === "object" && part !== null ? wholeOf(part) : JSON.stringify(part);
      const json = JSON.stringify(value);
      values.set(key, { label: setting.label, words: setting.value, raw: clean(raw, 200), json });
    }
  }
  return values;
}

/** A list or table in arkor.toml's terms: `path data/faq.csv, columns (prompt question)`. */
function wholeOf(value: object): string {
  if (Array.isArray(value)) return value.map(partOf).join(", ");
  const entries = Object.entries(value).filter(([key]) => key !== "type");
  return entries.map(([key, part]) => `${key} ${partOf(part)}`).join(", ");
}

const partOf = (part: unknown): string =>
  typeof part === "object" && part !== null ? `(${wholeOf(part)})` : String(part);

/** A label within a sentence; one whose first word has several capitals (LoRA) keeps them. */
export function lowerFirst(label: string): string {
  return /^\p{Lu}[\p{Ll}-]+(?!\S)/u.test(label) ? label[0]!.toLowerCase() + label.slice(1) : label;
}
