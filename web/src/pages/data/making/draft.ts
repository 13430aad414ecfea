/** The form for making rows, and its options as the daemon expects them. */
import type { Making, MakingOptions } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { objectIn } from "../../../lib/json";

export const BASE = "base";

export const KINDS = [
  { value: "qa", label: "Questions and answers" },
  { value: "summary", label: "Summaries" },
  { value: "rewrite", label: "Rewriting in a voice" },
  { value: "extract", label: "Extraction to JSON" },
] as const;

export const KINDS_OF_ROWS = [
  { value: "variations", label: "Variations" },
  { value: "answers", label: "Answers to questions" },
] as const;

export type Kind = (typeof KINDS)[number]["value"] | (typeof KINDS_OF_ROWS)[number]["value"];

const EVERY_KIND: readonly Kind[] = [...KINDS, ...KINDS_OF_ROWS].map(({ value }) => value);

/** The fields as they are typed. */
export interface Draft {
  kind: Kind;
  paths: readonly string[];
  /** The trainer whose rows are varied, instead of documents. */
  trainer: string;
  /** Their numbers, such as `3,7-9`; empty for all. */
  rows: string;
  base: boolean;
  teacher: string;
  model: string;
  keyEnv: string;
  each: string;
  voice: string;
  schema: string;
  tokens: string;
  money: string;
  priceIn: string;
  priceOut: string;
}

export const EMPTY: Draft = {
  kind: "qa",
  paths: [],
  trainer: "",
  rows: "",
  base: false,
  teacher: "http://localhost:1234/v1",
  model: "",
  keyEnv: "",
  each: "3",
  voice: "",
  schema: "",
  tokens: "100000",
  money: "",
  priceIn: "",
  priceOut: "",
};

/** The form of a past making run, to resume it or to make more. */
export function draftOf(options: MakingOptions): Draft {
  const text = (value: number | null | undefined): string => String(value ?? "");
  return {
    kind: EVERY_KIND.find((kind) => kind === options.kind) ?? "qa",
    paths: options.paths ?? [],
    trainer: options.trainer ?? "",
    rows: (options.rows ?? []).join(","),
    base: options.teacher === BASE,
    teacher: options.teacher === BASE ? EMPTY.teacher : options.teacher,
    model: options.teacher === BASE ? "" : options.model,
    keyEnv: options.keyEnv ?? "",
    each: text(options.perPassage ?? 3),
    voice: options.voice ?? "",
    schema: options.schema ? JSON.stringify(options.schema, null, 2) : "",
    tokens: text(options.budgetTokens),
    money: text(options.budgetMoney),
    priceIn: text(options.price?.[0]),
    priceOut: text(options.price?.[1]),
  };
}

/** The options of a complete form, or what is missing, as a sentence. */
export function optionsOf(draft: Draft): MakingOptions | string {
  const ofRows = draft.trainer !== "";
  if (!ofRows && draft.paths.length === 0) return "Add documents to make rows from.";
  const rows = numbersOf(draft.rows);
  if (ofRows && rows === null) return "Give the numbers of rows, such as 3,7-9.";
  if (!draft.base && draft.model.trim() === "") return "Name the teacher's model.";
  if (draft.kind === "rewrite" && draft.voice.trim() === "") return "Describe the voice to rewrite in.";
  const perPassage = positiveInteger(draft.each);
  if (perPassage === null || perPassage > 10) return "A passage gives 1 to 10 rows.";
  const options: MakingOptions = {
    kind: draft.kind,
    teacher: draft.base ? BASE : draft.teacher.trim(),
    model: draft.base ? "" : draft.model.trim(),
    perPassage,
  };
  if (!ofRows) options.paths = [...draft.paths];
  else options.trainer = draft.trainer;
  if (ofRows && rows && rows.length > 0) options.rows = rows;
  if (draft.kind === "rewrite") options.voice = draft.voice.trim();
  if (draft.kind === "extract") {
    const schema = objectIn(draft.schema);
    if (!schema) return "Give a JSON Schema of what to extract: an object.";
    options.schema = schema;
  }
  if (!draft.base && draft.keyEnv.trim() !== "") options.keyEnv = draft.keyEnv.trim();
  if (draft.tokens.trim() !== "") {
    const tokens = positiveInteger(draft.tokens);
    if (tokens === null) return "The budget of tokens is not a whole number.";
    options.budgetTokens = tokens;
  }
  return withMoney(draft, options);
}

function withMoney(draft: Draft, options: MakingOptions): MakingOptions | string {
  const hasPrice = [draft.priceIn, draft.priceOut].some((text) => text.trim() !== "");
  const prices = [draft.priceIn, draft.priceOut].map((text) => Number(text.trim() || "0"));
  if (draft.base || !(hasPrice || draft.money.trim() !== "")) return options;
  if (!hasPrice) return "A budget of money needs the price of a million tokens.";
  if (!prices.every((price) => price >= 0)) return "A price is not a number.";
  options.price = prices;
  if (draft.money.trim() !== "") {
    const money = Number(draft.money);
    if (!(money > 0)) return "The budget of money is not a number above 0.";
    options.budgetMoney = money;
  }
  return options;
}

const MOST_ROWS = 10_000;

/** The numbers in `3,7-9`, in order; null for anything else. */
export function numbersOf(text: string): number[] | null {
  const rows = new Set<number>();
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const [, first, last] = /^\s*(\d{1,9})\s*(?:-\s*(\d{1,9}))?\s*$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last ?? first)];
    if (!(from >= 1 && to >= from && to - from < MOST_ROWS)) return null;
    for (let row = from; row <= to; row++) rows.add(row);
  }
  return rows.size <= MOST_ROWS ? [...rows].sort((one, other) => one - other) : null;
}

function positiveInteger(text: string): number | null {
  const value = Number(text.trim());
  return Number.isInteger(value) && value > 0 && value <= 1e12 ? value : null;
}

const DROPPED: Readonly<Record<string, string>> = {
  quote: "with a quote that is not in the source",
  duplicate: "like a row that exists",
  "held-out": "like a held-out row",
  schema: "that don't fit the schema",
  unreadable: "unreadable",
};

/** `3 with a quote that is not in the source, 1 unreadable` */
export function droppedWords(dropped: Readonly<Record<string, number>>): string {
  return Object.entries(dropped)
    .map(([why, count]) => `${number(count)} ${Object.hasOwn(DROPPED, why) ? DROPPED[why] : why}`)
    .join(", ");
}

/** One sentence on the progress of a making run, or its end. */
export function stateWords(making: Making): string {
  switch (making.state) {
    case "reading":
      return "Reading";
    case "running":
      return making.waiting ?? "Asking the teacher";
    case "pausing":
      return "Pausing when the requests under way are answered";
    case "paused":
      return "Paused. Nothing is asked twice when you resume.";
    case "budget":
      return "Stopped: the next request could exceed the budget. Raise it to resume.";
    case "failed":
      return "Stopped by an error";
    default:
      return `Done: ${plural(making.rows, "row")} to judge${
        making.done < making.passages
          ? `. ${plural(making.passages - making.done, "answer")} could not be read: ask again, or use a larger model`
          : ""
      }`;
  }
}

export const isActive = (making: Making | null): boolean =>
  making !== null && ["reading", "running", "pausing"].includes(making.state);
