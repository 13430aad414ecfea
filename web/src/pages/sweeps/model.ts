/** A sweep's trials as points, lines and words. Pure. */
import { type JobConfig, SETTINGS, type Sweep, type SweepTrial } from "../../contract.gen";
import { plural, time } from "../../lib/format";
import { settings } from "../../lib/job-config-text";
import { clean } from "../../lib/text";

/** The trials of the search, without the runs that confirm its winner. */
export const searched = (sweep: Sweep): SweepTrial[] => sweep.trials.filter(({ role }) => role === "search");

/** With fewer trials the table says everything. */
const FEWEST_DRAWN = 5;

/** Whether there are enough trials with a result for figures. */
export const isWorthDrawing = (sweep: Sweep): boolean => ranked(searched(sweep)).length >= FEWEST_DRAWN;

/** A trial's loss at its highest rung; null before the first. */
export const lossOf = ({ results }: SweepTrial): number | null => results.at(-1)?.loss ?? null;

/** The measure on held-out rows, as the page labels it. */
export const measureOf = ({ measure }: Sweep): string => clean(measure?.label ?? "Loss", 40);

/** A trial's loss as a value of that measure: if higher is better, the loss is its negative. */
export const figure = ({ measure }: Sweep, value: number): number => (measure?.higher ? -value : value);

export const labelOf = (field: string): string =>
  SETTINGS.find((setting) => setting.field === field)?.label ?? clean(field, 60);

export function valueText(field: string, value: unknown): string {
  const [text] = settings({ [field]: value } as unknown as JobConfig);
  return text?.value ?? clean(JSON.stringify(value) ?? "not set", 60);
}

/** `Learning rate 0.002, LoRA rank 16`; for trial 0, a note that it changes nothing. */
export function settingsWords(trial: SweepTrial): string {
  const words = Object.entries(trial.settings).map(
    // The label of a number of steps says "steps" already.
    ([field, value]) => `${labelOf(field)} ${valueText(field, value).replace(/ steps$/, "")}`,
  );
  return words.join(", ") || "Your settings";
}

/** Best first: by the highest rung reached, then by the lowest loss. */
export function ranked(trials: readonly SweepTrial[]): SweepTrial[] {
  return trials
    .filter((trial) => trial.results.length > 0)
    .sort((a, b) => b.results.length - a.results.length || lossOf(a)! - lossOf(b)!);
}

export interface Point {
  x: number;
  y: number;
}

/** The lowest loss at each rung so far, over time: one step curve per rung, since rungs are not comparable. */
export function bestSoFar(sweep: Sweep): { step: number; points: Point[] }[] {
  const rungs = new Map<number, Point[]>();
  const results = searched(sweep).flatMap((trial) => trial.results);
  results.sort((a, b) => (time(a.at) ?? 0) - (time(b.at) ?? 0));
  for (const { step, loss, at } of results) {
    const x = time(at);
    if (x === null) continue;
    const points = rungs.get(step) ?? [];
    const best = points.at(-1)?.y ?? Number.POSITIVE_INFINITY;
    points.push({ x, y: Math.min(best, loss) });
    rungs.set(step, points);
  }
  return [...rungs].sort(([a], [b]) => a - b).map(([step, points]) => ({ step, points }));
}

export interface Axis {
  field: string;
  label: string;
  /** The position of a value from 0 (bottom) to 1; null for one outside the space. */
  at: (value: unknown) => number | null;
  /** Labels of the axis, with their positions. */
  marks: { at: number; text: string }[];
}

interface Range {
  low: number;
  high: number;
  log?: boolean;
}

export const isRange = (values: unknown): values is Range =>
  typeof values === "object" && values !== null && !Array.isArray(values);

/** One axis per setting of the space, as it was searched: ranges by their scale, lists by their order. */
export function axesOf(space: Sweep["space"]): Axis[] {
  return Object.entries(space).map(([field, values]) => {
    const label = labelOf(field);
    if (isRange(values)) {
      const scale = values.log ? Math.log : (value: number): number => value;
      const [low, high] = [scale(values.low), scale(values.high)];
      const at = (value: unknown): number | null =>
        typeof value === "number" && value >= values.low && value <= values.high
          ? (scale(value) - low) / (high - low)
          : null;
      const marks = [
        { at: 0, text: valueText(field, values.low) },
        { at: 1, text: valueText(field, values.high) },
      ];
      return { field, label, at, marks };
    }
    const list = Array.isArray(values) ? values : [];
    const fraction = (index: number): number => (list.length > 1 ? index / (list.length - 1) : 0.5);
    const texts = list.map((value) => JSON.stringify(value));
    return {
      field,
      label,
      at: (value) => {
        const index = texts.indexOf(JSON.stringify(value));
        return index < 0 ? null : fraction(index);
      },
      marks: list.map((value, index) => ({ at: fraction(index), text: valueText(field, value) })),
    };
  });
}

/** A trial's value of a setting; by default, that of the starting settings. */
export const trialValue = (sweep: Sweep, trial: SweepTrial, field: string): unknown =>
  trial.settings[field] ?? (sweep.config as unknown as Record<string, unknown>)[field];

/** What a person typed as values: `8, 16, 64` or `1e-4 to 5e-3`; null if it is neither. */
export function valuesFrom(text: string, log: boolean): unknown[] | Range | null {
  const range = /^\s*(\S+)\s*(?:to|–|\.\.)\s*(\S+)\s*$/i.exec(text);
  if (range) {
    const [low, high] = [Number(range[1]), Number(range[2])];
    return Number.isFinite(low) && Number.isFinite(high) ? { low, high, ...(log ? { log } : {}) } : null;
  }
  const parts = text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
  if (parts.length < 2) return null;
  return parts.map((part) => {
    if (part === "true" || part === "false") return part === "true";
    const value = Number(part);
    return Number.isFinite(value) ? value : part.replace(/^"(.*)"$/, "$1");
  });
}

/** Jobs that confirm the result: the best settings and the trainer's, with three seeds each. */
const CONFIRMING = 6;

/** How many jobs a sweep starts; `trials` is their most, 0 for no limit. */
export function jobsWords(trials: number): string {
  const confirming = `${CONFIRMING} jobs that confirm the result.`;
  return trials > 0
    ? `Up to ${trials + CONFIRMING} jobs: ${plural(trials, "trial")}, your settings among them, and ${confirming}`
    : `As many trials as there is time for, and ${confirming}`;
}

/** Values as a person would type them. */
export function textOf(values: unknown): string {
  if (isRange(values)) return `${values.low} to ${values.high}`;
  return Array.isArray(values)
    ? values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(", ")
    : "";
}

/** The next such time of day, `07:00`, or the end of so many hours, `8 h`, as ISO 8601; null for any other text. */
export function nextTime(text: string, now: number): string | null {
  const hours = /^(\d+(?:\.\d+)?)\s*h$/i.exec(text.trim());
  if (hours) return new Date(now + Number(hours[1]) * 3_600_000).toISOString();
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text.trim());
  if (!match) return null;
  const at = new Date(now);
  at.setHours(Number(match[1]), Number(match[2]), 0, 0);
  if (at.getTime() <= now) at.setDate(at.getDate() + 1);
  return at.toISOString();
}
