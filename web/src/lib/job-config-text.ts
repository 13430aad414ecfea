/** A job's configuration as a person reads it: one line, and a list in which nothing is left out. */
import type { DatasetSource, JobConfig } from "../contract.gen";
import { modelName, number, plural, rate } from "./format";
import { clean } from "./text";

export interface Setting {
  label: string;
  value: string;
  /** The whole value where `value` is a short form. */
  title?: string;
}

/** `LoRA r 8 on smollm2-135m · 100 examples · 40 steps` */
export function summary(config: JobConfig, rows?: number): string {
  const lora = config.loraR === undefined ? "Fine-tuning" : `LoRA r ${config.loraR} on`;
  const parts = [`${lora} ${clean(modelName(config.model), 80)}`];
  if (rows !== undefined) parts.push(plural(rows, "example"));
  else parts.push(clean(datasetName(config.datasetSource), 80));
  const length = extent(config);
  if (length) parts.push(length);
  return parts.join(" · ");
}

function extent(config: JobConfig): string {
  if (config.maxSteps !== undefined && config.maxSteps > 0) return plural(config.maxSteps, "step");
  return config.numTrainEpochs === undefined ? "" : plural(config.numTrainEpochs, "epoch");
}

export function datasetName(source: DatasetSource | undefined): string {
  if (!source) return "–";
  const name = source.path ?? source.name ?? (source.url && bareUrl(source.url)) ?? source.type;
  const parts = [source.subset, source.split].filter(Boolean);
  return parts.length > 0 ? `${name} (${parts.join(", ")})` : name;
}

/** An address without what may open it: a name and password before the host, a signature behind the path. */
function bareUrl(url: string): string {
  return url.replace(/^([a-z][\w+.-]*:\/\/)[^/?#]*@/i, "$1").replace(/[?#].*$/s, "?…");
}

/** A configuration to hand on: a data set's token, and the secrets in its address, are the backend's alone. */
export function shareable(config: JobConfig): JobConfig {
  const { token: _, ...source } = config.datasetSource ?? {};
  return { ...config, datasetSource: typeof source.url === "string" ? { ...source, url: bareUrl(source.url) } : source };
}

type Words = (value: never) => string;
const steps: Words = (value: number) => (value === 1 ? "every step" : value > 0 ? `every ${plural(value, "step")}` : "never");
const count: Words = (value: number) => number(value);
const rated: Words = (value: number) => rate(value);
const share: Words = (value: unknown) =>
  typeof value === "number" && value > 0 && value < 1 ? `${Number((value * 100).toFixed(1))} %` : raw(value);
const yesNo: Words = (value: boolean) => (value ? "yes" : "no");
const plain: Words = (value: string) => clean(value, 200);

/** In reading order; a key that is not here is shown under its own name. */
const KNOWN: readonly (readonly [keyof JobConfig, string, Words])[] = [
  ["model", "Base model", plain],
  ["datasetSource", "Data set", datasetName as Words],
  ["maxSteps", "Steps", count],
  ["numTrainEpochs", "Epochs", count],
  ["batchSize", "Batch size", count],
  ["learningRate", "Learning rate", rated],
  ["lrSchedulerType", "Schedule", plain],
  ["warmupSteps", "Warm-up", ((value: number) => plural(value, "step")) as Words],
  ["loraR", "LoRA rank", count],
  ["loraAlpha", "LoRA alpha", count],
  ["maxLength", "Maximum length", ((value: number) => plural(value, "token")) as Words],
  ["trainOnResponsesOnly", "Loss on answers only", yesNo],
  ["datasetSplit", "Evaluation split", share],
  ["evalSteps", "Evaluation", steps],
  ["saveSteps", "Checkpoints", steps],
  ["loggingSteps", "Logging", steps],
  ["optim", "Optimiser", plain],
  ["weightDecay", "Weight decay", rated],
  ["loadIn4bit", "Loaded in 4 bit", yesNo],
  ["dryRun", "Dry run", yesNo],
];

const LABELED: ReadonlySet<string> = new Set(KNOWN.map(([key]) => key));

export function settings(config: JobConfig): Setting[] {
  const list: Setting[] = [];
  for (const [key, label, words] of KNOWN) {
    const value = config[key];
    if (value === undefined || value === null) continue;
    list.push({ label, value: safely(words, value) });
  }
  for (const [key, value] of Object.entries(config)) {
    if (!LABELED.has(key) && value !== undefined && value !== null) list.push({ label: clean(key, 60), value: raw(value) });
  }
  return list;
}

/** A backend may send any type for a field; a word function that cannot take it must not take the page down. */
function safely(words: Words, value: unknown): string {
  try {
    return clean(words(value as never), 200);
  } catch {
    return raw(value);
  }
}

function raw(value: unknown): string {
  return clean(typeof value === "string" ? value : JSON.stringify(value), 200);
}
