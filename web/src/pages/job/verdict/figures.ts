/** A backend's evaluation, checked; and its position on a scale. Pure. */
import type { Evaluation, EvaluationMeasure, EvaluationRow } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { finite, isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { beforeOf, systemOf } from "../answers/samples";

const MOST_SETS = 20;

export interface Part {
  name: string;
  verdict: string;
  /** Too few rows for a verdict: the backend's interval means nothing, and `low` and `high` are the mean. */
  tooFew: boolean;
  mean: number;
  low: number;
  high: number;
  /** In percent. */
  confidence: number;
  /** The name of the losses, and their unit. */
  measure: EvaluationMeasure;
  /** Mean losses of base and adapter; null if one is missing. */
  losses: readonly [number, number] | null;
  /** Both as displayed. */
  base: string;
  adapter: string;
  /** The number of rows or questions. */
  count: string;
  /** How many preferences are followed more than at the start, where rows are preferences. */
  preferred: Preferred | null;
}

export interface Preferred {
  /** `45 of 50` */
  share: string;
  /** `held-out pairs followed more than at the start (95 % interval 79 to 96 %); at equal length 71 % (60 to 80 %)` */
  note: string;
}

export const GENERAL = "General ability";
export const USUAL = "Loss";

/** The parts with a complete interval, the task first. */
export function partsOf(evaluation: Evaluation): Part[] {
  const sets: readonly [string, string, unknown][] = [
    ["Your task", "held-out row", evaluation.heldOut],
    [GENERAL, "question", evaluation.general],
  ];
  return sets.flatMap(([name, kind, set]) => {
    const part = isObject(set) ? set : {};
    const difference = isObject(part.difference) ? part.difference : {};
    const [mean, low, high] = [finite(difference.mean), finite(difference.low), finite(difference.high)];
    if (mean === null || low === null || high === null || low > high) return [];
    const tooFew = part.tooFew === true;
    const rows = finite(part.rows);
    const both = [finite(part.base), finite(part.adapter)] as const;
    const measure = measureOf(part);
    const [before, after] = both;
    const rate = measure.rate && rows !== null && before !== null && after !== null;
    const [base, adapter] = rate ? successes(before, after, rows) : losses(...both);
    return [
      {
        name,
        verdict: String(part.verdict),
        tooFew,
        mean,
        low: tooFew ? mean : low,
        high: tooFew ? mean : high,
        confidence: finite(part.confidence) ?? 95,
        measure,
        losses: before === null || after === null ? null : [before, after],
        base,
        adapter,
        count: rows === null ? "" : `${number(rows)} ${kind}${rows === 1 ? "" : "s"}`,
        preferred: preferredOf(part),
      },
    ];
  });
}

/** Null if the rows are not preferences, or a figure is missing. */
export function preferredOf(part: unknown): Preferred | null {
  const preferred: unknown = isObject(part) ? part.preferred : null;
  if (!isObject(part) || !isObject(preferred)) return null;
  const [won, of] = [finite(preferred.won), finite(preferred.of)];
  const [low, high] = [finite(preferred.low), finite(preferred.high)];
  if (won === null || of === null || low === null || high === null) return null;
  const kind = preferred.kind === "rating" ? "rated answer" : "pair";
  const interval = `${finite(part.confidence) ?? 95} % interval ${percents(low, high)}`;
  return {
    share: `${number(won)} of ${number(of)}`,
    note: `held-out ${kind}s followed more than at the start (${interval})${atEqualLength(preferred.equalLength)}`,
  };
}

/** The share that would be followed if both answers were equally long; empty if unknown. */
function atEqualLength(value: unknown): string {
  const { share, low, high } = isObject(value) ? value : {};
  const [middle, from, to] = [finite(share), finite(low), finite(high)];
  if (middle === null || from === null || to === null) return "";
  return `; at equal length ${Math.round(100 * middle)} % (${percents(from, to)})`;
}

const percents = (low: number, high: number): string =>
  `${Math.round(100 * low)} to ${Math.round(100 * high)} %`;

/** The measure of a part's figures: the training method's own, or else the usual loss. */
export function measureOf(part: unknown): EvaluationMeasure {
  const { label, unit, higher, rate } = isObject(part) && isObject(part.measure) ? part.measure : {};
  return typeof label === "string" && typeof unit === "string"
    ? {
        label: clean(label, 40),
        unit: clean(unit, 40),
        ...(higher === true && { higher }),
        ...(rate === true && { rate }),
      }
    : { label: USUAL, unit: "nats per token" };
}

/** How many rows of both had a reward of 1. */
const successes = (before: number, after: number, rows: number): [string, string] => [
  number(Math.round(before * rows)),
  `${number(Math.round(after * rows))} of ${number(rows)}`,
];

/** What a part's figures are, on how many rows; for a success rate with the interval of the difference. */
export function noteOf({ measure, count, tooFew, confidence, low, high, preferred }: Part): string {
  if (preferred) return preferred.note;
  const on = count && ` on ${count}`;
  if (!measure.rate || tooFew) {
    return `${measure.label}${on}, ${measure.higher ? "higher" : "lower"} is better`;
  }
  return `${measure.label}${on}; ${confidence} % interval of the difference ${percents(low, high)}`;
}

/** Two losses with as many decimals as they need to differ, two to four. */
function losses(...values: [number | null, number | null]): [string, string] {
  const [first, other] = values.map((value) => value ?? NaN);
  const digits = [2, 3].find((count) => first!.toFixed(count) !== other!.toFixed(count)) ?? 4;
  const words = (value: number | undefined): string => number(value, first === other ? 2 : digits);
  return [words(first), words(other)];
}

/** How the adapter was chosen and judged: by which rows, with which interval, at which strength; empty if as usual. */
export function choiceOf({ choice, watched, budget }: Evaluation): string {
  const sentences = [choice, watched, budget].map((found: unknown) =>
    isObject(found) && typeof found.sentence === "string" ? clean(found.sentence, 600) : "",
  );
  return sentences.filter(Boolean).join(" ");
}

/** The result of the job's own sets. */
export function ownSentences(evaluation: Evaluation): string[] {
  const sets: unknown = evaluation.sets;
  if (!Array.isArray(sets)) return [];
  return sets.slice(0, MOST_SETS).flatMap((set) => {
    const sentence = isObject(set) && typeof set.sentence === "string" ? clean(set.sentence, 600) : "";
    return sentence === "" ? [] : [sentence];
  });
}

export interface AnswerFigures {
  sentence: string;
  /** The probability that each stops where an answer is complete; empty if unknown. */
  stopping: string;
  /** What the thinking switch does; empty for a model without one. */
  thinking: string;
  /** Counts, for the base and the adapter. */
  rows: readonly (readonly [what: string, base: string, adapter: string])[];
}

/** How base and adapter answer general questions; null if incomplete. */
export function answerFigures(evaluation: Evaluation): AnswerFigures | null {
  const answers: unknown = isObject(evaluation.general) ? evaluation.general.answers : null;
  if (!isObject(answers) || typeof answers.sentence !== "string") return null;
  const [base, adapter] = [answers.base, answers.adapter].map((side) => (isObject(side) ? side : {}));
  const [count, longest] = [finite(answers.count), finite(answers.longest)];
  const rows = [
    ["Tokens on average", "tokens", ""],
    [`Cut after ${number(longest ?? 0)} tokens`, "truncated", ` of ${number(count ?? 0)}`],
    ["Repeat themselves", "repeating", ` of ${number(count ?? 0)}`],
    ["Refuse", "refusing", ` of ${number(count ?? 0)}`],
  ].flatMap(([label = "", key = "", of = ""]): [string, string, string][] => {
    const [before, after] = [finite(base?.[key]), finite(adapter?.[key])];
    return before === null || after === null ? [] : [[label, `${before}${of}`, `${after}${of}`]];
  });
  const sentenceOf = (part: unknown) =>
    isObject(part) && typeof part.sentence === "string" ? clean(part.sentence, 600) : "";
  return {
    sentence: clean(answers.sentence, 600),
    stopping: sentenceOf(evaluation.stopping),
    thinking: sentenceOf(evaluation.thinking),
    rows,
  };
}

export interface Said {
  question: string;
  base: string;
  adapter: string;
}

/** Why a better result may not be one, with answers; null without a warning. */
export function warningOf(evaluation: Evaluation): { sentence: string; examples: Said[] } | null {
  const warning: unknown = evaluation.warning;
  if (!isObject(warning) || typeof warning.sentence !== "string") return null;
  return { sentence: clean(warning.sentence, 600), examples: saidOf(warning.examples).slice(0, 5) };
}

/** Every general question that both have answered. */
export function saidOf(sent: unknown): Said[] {
  if (!Array.isArray(sent)) return [];
  return sent.filter(isObject).flatMap(({ question, base, adapter }) => {
    const complete = [question, base, adapter].every((text) => typeof text === "string");
    return complete ? [{ question, base, adapter } as unknown as Said] : [];
  });
}

/** The minimum part of the scale, in percent, on either side of zero: the label under it is half as wide. */
const SIDE = 20;

/** The common scale of all parts, in percent: includes zero and every interval, with zero away from both ends. */
export function scaleOf(parts: readonly Part[]): (value: number) => number {
  const low = Math.min(0, ...parts.map((part) => part.low));
  const high = Math.max(0, ...parts.map((part) => part.high));
  const room = 0.08 * (high - low) || 1;
  const [before, after] = [room - low, room + high];
  // Either side has at least SIDE of the whole.
  const least = SIDE / (100 - SIDE);
  const left = Math.max(before, least * after);
  const right = Math.max(after, least * before);
  return (value) => (100 * (value + left)) / (left + right);
}

export interface Row {
  row: number;
  where: string;
  base: number;
  adapter: number;
  /** How much better the adapter is: how much lower its loss is, or how much higher its reward. */
  gain: number;
  /** The models' answers, if answers were measured. */
  said: { base: string; adapter: string } | null;
  question: string;
  wanted: string;
  /** The system prompt of its question; null if more preceded it, or if unknown. */
  system: string | null;
}

export type Order = "improved" | "worse" | "data";

/** Every row with both losses. */
export function rowsOf(sent: unknown, higher = false): Row[] {
  if (!Array.isArray(sent)) return [];
  return sent.filter(isObject).flatMap((entry: Partial<Record<keyof EvaluationRow, unknown>>) => {
    const [base, adapter] = [finite(entry.base), finite(entry.adapter)];
    if (base === null || adapter === null) return [];
    const text = (value: unknown) => (typeof value === "string" ? value : "");
    const { row, where, question, wanted, messages, baseAnswer, adapterAnswer } = entry;
    const answered = typeof baseAnswer === "string" && typeof adapterAnswer === "string";
    return [
      {
        row: finite(row) ?? 0,
        where: text(where),
        base,
        adapter,
        gain: higher ? adapter - base : base - adapter,
        said: answered ? { base: baseAnswer, adapter: adapterAnswer } : null,
        question: text(question),
        wanted: text(wanted),
        system: systemOf(beforeOf(messages)),
      },
    ];
  });
}

/** The step with the final adapter's answers: with early stopping, that of the best evaluation. */
export function finalStep(steps: readonly number[], best: unknown, patience: unknown): number | undefined {
  if (patience && typeof best === "number" && steps.includes(best)) return best;
  return steps.findLast((step) => step > 0);
}

export function ordered(rows: readonly Row[], order: Order): readonly Row[] {
  if (order === "data") return rows;
  const sign = order === "improved" ? 1 : -1;
  return [...rows].sort((a, b) => sign * (b.gain - a.gain));
}
