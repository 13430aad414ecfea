/** The settings of an answer beyond temperature, top-p and length; only changed ones are kept and sent. */
import type { ChatRequest } from "../contract.gen";
import { isObject } from "../lib/json";

export const FEATURE = "sampling";
export const TOOLS = "tools";
export const FORMATS = "formats";

/** The required format: any JSON object, or one that fits a JSON Schema. Without it, any text. */
export type AnswerForm =
  | { type: "json_object" }
  | { type: "json_schema"; json_schema: { name: string; schema: object } };

/** Non-default settings. Without a seed, each answer is sampled anew. */
export type More = Pick<
  ChatRequest,
  | "topK"
  | "minP"
  | "repetitionPenalty"
  | "frequencyPenalty"
  | "presencePenalty"
  | "thinkingBudget"
  | "seed"
  | "stop"
  | "tools"
> & { responseFormat?: AnswerForm };

interface Figure {
  label: string;
  min: number;
  max: number;
  step: number;
  usual: number;
}

export const FIGURES: Readonly<
  Record<keyof Omit<More, "seed" | "stop" | "tools" | "responseFormat">, Figure>
> = {
  topK: { label: "Top-k (0 is all)", min: 0, max: 1000, step: 1, usual: 0 },
  minP: { label: "Min-p", min: 0, max: 1, step: 0.01, usual: 0 },
  repetitionPenalty: { label: "Repetition penalty", min: 0.5, max: 2, step: 0.05, usual: 1 },
  frequencyPenalty: { label: "Frequency penalty", min: -2, max: 2, step: 0.1, usual: 0 },
  presencePenalty: { label: "Presence penalty", min: -2, max: 2, step: 0.1, usual: 0 },
  thinkingBudget: { label: "Thinking tokens (0: all)", min: 0, max: 1e5, step: 1, usual: 0 },
};

export type FigureName = keyof typeof FIGURES;
export const NAMES = Object.keys(FIGURES) as FigureName[];

const MOST_SEED = 2 ** 31;
const MOST_STOPS = 16;
const MOST_CHARACTERS = 200;
const MOST_TOOLS = 64;
const MOST_JSON = 100_000;

/** `value` within its bounds, or the default if it is not a number. */
export function boundedFigure(name: FigureName, value: unknown): number {
  const { min, max, step, usual } = FIGURES[name];
  if (typeof value !== "number" || !Number.isFinite(value)) return usual;
  const clamped = Math.min(max, Math.max(min, value));
  return step === 1 ? Math.round(clamped) : Math.round(clamped * 1000) / 1000;
}

export const isSeed = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_SEED;

/** Stop sequences from a field with one per line. */
export const stopsOf = (lines: string): string[] =>
  lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.slice(0, MOST_CHARACTERS))
    .slice(0, MOST_STOPS);

/** OpenAI's tools, or null for anything but a list of objects that each name a function. */
export function toolsOf(value: unknown): object[] | null {
  const hasName = (tool: unknown): tool is object =>
    isObject(tool) && isObject(tool.function) && typeof tool.function.name === "string";
  return Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MOST_TOOLS &&
    value.every(hasName) &&
    JSON.stringify(value).length <= MOST_JSON
    ? value
    : null;
}

const isForm = (value: unknown): value is AnswerForm =>
  isObject(value) &&
  (value.type === "json_object" ||
    (value.type === "json_schema" && isObject(value.json_schema) && isObject(value.json_schema.schema)));

/** The valid settings in `value`, which may come from storage. */
export function moreOf(value: unknown): More {
  if (!isObject(value)) return {};
  const more: More = {};
  for (const name of NAMES) {
    const figure = boundedFigure(name, value[name]);
    if (figure !== FIGURES[name].usual) more[name] = figure;
  }
  if (isSeed(value.seed)) more.seed = value.seed;
  const stop = Array.isArray(value.stop) ? value.stop.filter((text) => typeof text === "string") : [];
  const stops = stopsOf(stop.join("\n"));
  if (stops.length > 0) more.stop = stops;
  const tools = toolsOf(value.tools);
  if (tools) more.tools = tools;
  if (isForm(value.responseFormat)) more.responseFormat = value.responseFormat;
  return more;
}

/** The fields to send to a backend with these features; with a required format, no tools are sent. */
export function sentOf(value: unknown, features: ReadonlySet<string>): More {
  const { tools, responseFormat, ...rest } = moreOf(value);
  const sent: More = features.has(FEATURE) ? rest : {};
  if (responseFormat && features.has(FORMATS)) sent.responseFormat = responseFormat;
  else if (tools && features.has(FEATURE) && features.has(TOOLS)) sent.tools = tools;
  return sent;
}

export const FORMS = { json_object: "JSON", json_schema: "JSON schema" } as const;

/** Each in a few words, such as `Seed 7`. */
export function wordsOf(more: More): string[] {
  const { seed, stop, tools, responseFormat, ...figures } = more;
  return [
    ...(Object.keys(figures) as FigureName[]).map(
      (name) => `${FIGURES[name].label.replace(/ \(.*/u, "")} ${figures[name]}`,
    ),
    ...(seed === undefined ? [] : [`Seed ${seed}`]),
    ...(stop === undefined ? [] : [`Stops at ${stop.map((text) => `“${text}”`).join(", ")}`]),
    ...(tools === undefined ? [] : [`${tools.length} ${tools.length === 1 ? "tool" : "tools"}`]),
    ...(responseFormat ? [FORMS[responseFormat.type]] : []),
  ];
}
