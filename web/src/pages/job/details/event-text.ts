/** One line of text for each event of the log; unknown events are shown as received. */
import {
  CHECKPOINT_REMOVED,
  CHECKPOINT_SAVED,
  EVALUATION_COMPLETED,
  MODEL_PROGRESS,
  ROLLOUTS_CREATED,
  SAMPLE_CREATED,
  TRAINING_CANCELLED,
  TRAINING_COMPLETED,
  TRAINING_FAILED,
  TRAINING_LOG,
  TRAINING_MESSAGE,
  TRAINING_PAUSED,
  TRAINING_RESUMED,
  TRAINING_STARTED,
} from "../../../contract.gen";
import type { Entry } from "../../../events/records";
import { evalName, type Figure } from "../../../events/run";
import { bytes, loss, number, plural, rate } from "../../../lib/format";
import { isObject, type JsonObject, objectIn } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { within } from "../progress/own-figures";

const MAX = 400;

/** `judged` is the figure that the training method is judged by, instead of the loss. */
export function eventText(entry: Entry, judged?: Figure): string {
  const data = entry.size === entry.data.length || entry.data.length < 4096 ? objectIn(entry.data) : null;
  const words = data && (KNOWN[entry.name]?.(data, judged) ?? rest(data));
  if (words) return clean(words, MAX);
  const size = entry.size > entry.data.length ? ` (${bytes(entry.size)})` : "";
  return clean(entry.data, MAX) + size;
}

const KNOWN: Readonly<Record<string, (data: JsonObject, judged?: Figure) => string>> = {
  [TRAINING_LOG]: (data, judged) =>
    line(
      step(data),
      ...(judged ? figures(data, judged) : losses(data)),
      labelled("lr", data.learningRate, rate),
      labelled("epoch", data.epoch, (value) => value.toFixed(2)),
      unit(data.tokensPerSecond, "tokens/s") || unit(data.samplesPerSecond, "samples/s"),
    ),
  [TRAINING_STARTED]: ({ metadata }) => {
    const facts = isObject(metadata) ? metadata : {};
    const words = line(
      count(facts.totalSteps, "step"),
      count(facts.epochs, "epoch"),
      text(facts.device),
      text(facts.dtype),
      unit(facts.trainRows, "training rows"),
      unit(facts.evalRows, "eval rows"),
      unit(facts.trainableParameters, "trainable parameters"),
    );
    return words || "started";
  },
  [CHECKPOINT_REMOVED]: step,
  [CHECKPOINT_SAVED]: (data) => line(step(data), ...artifacts(data.artifacts)),
  [TRAINING_COMPLETED]: ({ metrics, artifacts: left }, judged) => {
    const facts = isObject(metrics) ? metrics : {};
    const seconds = facts.seconds ?? facts.totalTime;
    const words = line(
      count(facts.steps ?? facts.totalSteps, "step"),
      labelled("loss", !judged && (facts.loss ?? facts.finalLoss), loss),
      labelled("eval loss", !judged && facts.evalLoss, loss),
      labelled("best", !judged && facts.bestEvalLoss, loss),
      unit(typeof seconds === "number" ? Math.round(seconds) : null, "s"),
      ...artifacts(left),
    );
    return words || "completed";
  },
  [TRAINING_FAILED]: (data) =>
    line(text(data.error) || (data.error ? JSON.stringify(data.error) : "no reason given"), step(data)),
  [TRAINING_CANCELLED]: (data) => step(data) || "cancelled",
  [TRAINING_PAUSED]: (data) => line(step(data), text(data.message) || text(data.reason)),
  [TRAINING_RESUMED]: (data) => line(step(data) && `after ${step(data)}`, text(data.message)),
  [EVALUATION_COMPLETED]: ({ evaluation }) => {
    if (!isObject(evaluation)) return "";
    // It comes again with what the answers to general questions show.
    const general = isObject(evaluation.general) ? evaluation.general : {};
    return line(text(evaluation.sentence), isObject(general.answers) ? text(general.answers.sentence) : "");
  },
  [ROLLOUTS_CREATED]: (data) =>
    line(step(data), count(Array.isArray(data.rollouts) ? data.rollouts.length : 0, "sampled answer")),
  [SAMPLE_CREATED]: (data) =>
    line(
      data.step === 0 ? "base model" : step(data),
      `prompt ${text(String(data.number))}`,
      text(data.answer),
    ),
  [TRAINING_MESSAGE]: (data) => text(data.message),
  [MODEL_PROGRESS]: (data) => {
    const { done, total } = data;
    const part =
      typeof done === "number" && typeof total === "number" && total > 0
        ? `${Math.floor((100 * done) / total)} %`
        : "";
    return line(text(data.label), part);
  },
};

const losses = (data: JsonObject): string[] => [
  labelled("loss", data.loss ?? (data.loss === null && typeof data.evalLoss !== "number" ? NaN : null), loss),
  labelled("eval loss", data.evalLoss, loss),
];

function figures(data: JsonObject, { name, label }: Figure): string[] {
  const words = clean(within(label), MAX);
  return [labelled(words, data[name], loss), labelled(`eval ${words}`, data[evalName(name)], loss)];
}

/** The fields of an unknown event beyond the common ones. */
function rest({ type: _type, jobId: _job, timestamp: _time, ...data }: JsonObject): string {
  return Object.keys(data).length > 0 ? JSON.stringify(data) : "";
}

function line(...parts: (string | undefined)[]): string {
  return parts.filter(Boolean).join(" · ");
}

function text(value: unknown): string {
  return typeof value === "string" ? clean(value, MAX) : "";
}

function step(data: JsonObject): string {
  return typeof data.step === "number" ? `step ${number(data.step)}` : "";
}

function labelled(name: string, value: unknown, format: (value: number) => string): string {
  if (typeof value !== "number") return "";
  return Number.isFinite(value) ? `${name} ${format(value)}` : `${name} not a number`;
}

function unit(value: unknown, name: string): string {
  return typeof value === "number" && Number.isFinite(value)
    ? `${number(value >= 100 ? Math.round(value) : Number(value.toPrecision(3)))} ${name}`
    : "";
}

function count(value: unknown, singular: string): string {
  return typeof value === "number" && Number.isFinite(value) ? plural(value, singular) : "";
}

function artifacts(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter(isObject)
    .slice(0, 8)
    .map((item) => {
      const name = text(item.name) || text(item.kind);
      return typeof item.bytes === "number" ? `${name} ${bytes(item.bytes)}` : name;
    });
}
