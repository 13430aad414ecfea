/** What differs between two readings of the project, in the words of its settings. Pure. */

import type { JobConfig, Trainer } from "../contract.gen";
import { number } from "../lib/format";
import { settings } from "../lib/job-config-text";
import { clean } from "../lib/text";

export interface Change {
  label: string;
  from: string;
  to: string;
}

const NOTHING = "not set";

/** Empty when both would train the same, or when there was no such trainer before. */
export function changesOf(before: Trainer | undefined, after: Trainer | undefined): Change[] {
  if (!before || !after) return [];
  const [old, now] = [valuesOf(before.config), valuesOf(after.config)];
  const changes: Change[] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(key), now.get(key)];
    if (was?.raw === is?.raw) continue;
    // Short forms round: where they are the same, the whole values tell.
    const whole = was?.words === is?.words;
    const say = (value: Value | undefined): string =>
      value === undefined ? NOTHING : whole ? value.raw : value.words;
    changes.push({ label: (is ?? was)!.label, from: say(was), to: say(is) });
  }
  if (before.rows !== after.rows)
    changes.push({ label: "Examples", from: number(before.rows), to: number(after.rows) });
  return changes;
}

/** `steps 40 → 60, learning rate 0.002 → 0.001` */
export function changeWords(changes: readonly Change[]): string {
  return changes.map(({ label, from, to }) => `${lowerFirst(label)} ${from} → ${to}`).join(", ");
}

interface Value {
  label: string;
  words: string;
  raw: string;
}

function valuesOf(config: JobConfig | undefined): Map<string, Value> {
  const values = new Map<string, Value>();
  for (const [key, value] of Object.entries(config ?? {})) {
    const [setting] = settings({ [key]: value } as unknown as JobConfig);
    if (setting)
      values.set(key, { label: setting.label, words: setting.value, raw: clean(JSON.stringify(value), 200) });
  }
  return values;
}

/** A label inside a sentence; one whose first word has more capitals (LoRA) keeps them. */
function lowerFirst(label: string): string {
  return /^\p{Lu}[\p{Ll}-]+(?!\S)/u.test(label) ? label[0]!.toLowerCase() + label.slice(1) : label;
}
