/** Formats a job's configuration: one line, and a complete list. */
import { type DatasetSource, type Job, type JobConfig, SETTINGS, type Setting } from "../contract.gen";
import { modelName, number, plural, rate } from "./format";
import { isObject } from "./json";
import { clean } from "./text";

/** A setting and its value as text. */
export interface Shown {
  field: string;
  label: string;
  value: string;
}

/** `LoRA r 8 on smollm2-135m · 100 examples · 40 steps` */
export function summary(config: JobConfig, rows?: number): string {
  const full = config.fullFineTuning || config.loraR === undefined;
  const how = full ? "Fine-tuning" : `LoRA r ${config.loraR} on`;
  const parts = [`${how} ${clean(modelName(config.model), 80)}`];
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
  if (Array.isArray(source.sources))
    return source.sources.map((part) => datasetName(closed(part))).join(", ");
  const name = source.path ?? source.name ?? (source.url && bareUrl(source.url)) ?? source.type;
  const parts = [source.subset, source.split].filter(Boolean);
  return parts.length > 0 ? `${name} (${parts.join(", ")})` : name;
}

/** An address without secrets: a user name and password before the host, a signature after the path. */
function bareUrl(url: string): string {
  return url.replace(/^([a-z][\w+.-]*:\/\/)[^/?#]*@/i, "$1").replace(/[?#].*$/s, "?…");
}

/** A configuration that can be shared: a data set's token, and the secrets in its address, are for the backend only. */
export function shareable(config: JobConfig): JobConfig {
  return {
    ...config,
    datasetSource: shareableSource(config.datasetSource),
    ...(config.evalDatasetSource ? { evalDatasetSource: shareableSource(config.evalDatasetSource) } : {}),
  };
}

function shareableSource(shared: DatasetSource): DatasetSource {
  const source = closed(shared);
  // The parts of a list are not lists themselves: other fields are left out.
  return Array.isArray(shared?.sources) ? { ...source, sources: shared.sources.map(closed) } : source;
}

function closed(shared: DatasetSource): DatasetSource {
  const { token: _, sources: __, ...source } = shared ?? {};
  return typeof source.url === "string" ? { ...source, url: bareUrl(source.url) } : source;
}

/** What a job runs with, if its backend says so, else what was requested. */
export function configOf(job: Pick<Job, "config" | "settings">): JobConfig {
  return { ...job.config, ...job.settings };
}

type Words = (value: never) => string;

const WORDS: Readonly<Record<Setting["style"], Words>> = {
  text: ((value: string) => clean(value, 200)) as Words,
  count: ((value: number) => number(value)) as Words,
  steps: ((value: number) => plural(value, "step")) as Words,
  tokens: ((value: number) => plural(value, "token")) as Words,
  interval: ((value: number) => (value > 0 ? plural(value, "step") : "never")) as Words,
  rate: ((value: number) => rate(value)) as Words,
  share: ((sent: unknown) => {
    // The managed backend's form is an object.
    const value = isObject(sent) ? (sent.enabled === false ? 0 : (sent.testSize ?? sent)) : sent;
    return typeof value === "number" && value > 0 && value < 1
      ? `${Number((value * 100).toFixed(1))} %`
      : raw(value);
  }) as Words,
  list: ((value: unknown) => (Array.isArray(value) ? value.map(String).join(", ") : raw(value))) as Words,
  flag: ((value: boolean) => (value ? "yes" : "no")) as Words,
};

/** In the table's order, the data set after the model; unknown keys are shown under their own names. */
export function settings(config: JobConfig): Shown[] {
  const list: Shown[] = [];
  const add = (key: keyof JobConfig, label: string, words: Words): void => {
    const value = config[key];
    if (value === undefined || value === null) return;
    list.push({ field: key, label, value: safely(words, value) });
  };
  for (const { field, label, style } of SETTINGS) {
    add(field, label, WORDS[style]);
    if (field !== "model") continue;
    add("datasetSource", "Data set", datasetName as Words);
    add("evalDatasetSource", "Evaluation data set", datasetName as Words);
  }
  const known = new Set<string>([
    "datasetSource",
    "evalDatasetSource",
    "setByHand",
    "adjusted",
    ...SETTINGS.map(({ field }) => field),
  ]);
  for (const [key, value] of Object.entries(config)) {
    if (!known.has(key) && value !== undefined && value !== null)
      list.push({ field: key, label: clean(key, 60), value: raw(value) });
  }
  return list;
}

/** A backend may send any type for a field; a format function that cannot handle it must not break the page. */
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
