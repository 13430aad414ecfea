// Generated from arkor_dev/contract by scripts/generate.py. Not edited by hand.

import { SETTINGS, type Setting } from "./contract.gen";
import { HELP } from "./help.gen";

export type Group = "usual" | "schedule" | "adapter" | "data" | "reward" | "evaluation" | "precision" | "advanced";

/** The parts of a form, in reading order. */
export const GROUPS: readonly { group: Group; title: string }[] = [
  { group: "usual", title: "Common settings" },
  { group: "schedule", title: "Learning rate and optimizer" },
  { group: "adapter", title: "Adapter" },
  { group: "data", title: "Data and loss" },
  { group: "reward", title: "Rewards and sampled answers" },
  { group: "evaluation", title: "Evaluation and checkpoints" },
  { group: "precision", title: "Precision and memory" },
  { group: "advanced", title: "Advanced" },
];

/** The type of a value, for reading it from a text. */
export interface Kind {
  kind: "choice" | "flag" | "list" | "number" | "text" | "whole";
  /** The members of a list; one may stand without a list. */
  of?: Kind;
  /** Members of a list that have none beside them. */
  alone?: readonly string[];
}

/** What a form has to know of a setting. */
export interface FormSetting extends Setting, Kind {
  group: Group;
  help: string;
  fits: Check;
  /** What a value must be, in words. */
  allowed: string;
  choices?: readonly string[];
  /** The bounds of a number, where they are not obvious. */
  range?: string;
  unit?: string;
  required?: boolean;
  /** A value, or words where it depends on the job. */
  default?: string | number | boolean | readonly (string | number)[];
  defaultWords?: string;
  /** Which backends and devices obey it, where that is not all of them. */
  where?: string;
  /** The training methods that have it, where that is not all of them. */
  methods?: readonly string[];
  /** What differs by training method. */
  variants?: Readonly<Record<string, Partial<Omit<FormSetting, keyof Setting>>>>;
}

type Check = (value: unknown) => boolean;

const oneOf = (value: unknown, ...values: unknown[]): boolean => values.includes(value);
const flag: Check = (value) => typeof value === "boolean";
const choice = (...choices: string[]): Check => (value) => oneOf(value, ...choices);
const number = (low: number, high: number, above = false): Check => (value) =>
  typeof value === "number" && value >= low && value <= high && !(above && value === low);
const whole = (low: number, high: number): Check => (value) =>
  number(low, high)(value) && Number.isInteger(value);
/** One line without characters that Python considers non-printable. */
const text = (low: number, high: number): Check => (value) =>
  typeof value === "string" &&
  !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(value) &&
  [...value.trim()].length >= low &&
  [...value].length <= high;
const list = (low: number, high: number, of: Check, alone: unknown[]): Check => (value) => {
  if (!Array.isArray(value)) return of(value);
  if (value.length > 1 && value.some((member) => alone.includes(member))) return false;
  return value.length >= low && value.length <= high && value.every(of);
};

const RULES: Readonly<Record<Setting["field"], Omit<FormSetting, keyof Setting | "help">>> = {
  model: { group: "usual", kind: "text", fits: text(1, 300), allowed: "a model's name or folder, as one line of text, 300 characters at most", required: true },
  maxSteps: { group: "usual", kind: "whole", fits: whole(1, 10000000), allowed: "a whole number from 1 to 10,000,000", unit: "steps", defaultWords: "derived from epochs" },
  numTrainEpochs: { group: "usual", kind: "number", fits: number(0, 10000, true), allowed: "a number above 0, 10,000 at most", range: "Above 0, up to 10,000", default: 3 },
  batchSize: { group: "usual", kind: "whole", fits: whole(1, 1024), allowed: "a whole number from 1 to 1,024", range: "1 to 1,024", unit: "examples", default: 4 },
  gradientAccumulationSteps: { group: "usual", kind: "whole", fits: whole(1, 10000), allowed: "a whole number from 1 to 10,000", range: "1 to 10,000", default: 1, where: "the local backend" },
  learningRate: { group: "usual", kind: "number", fits: number(0, 1, true), allowed: "a number above 0, 1 at most", range: "Above 0, up to 1", defaultWords: "by the model's size: 5e-4 below 4 B parameters, 2e-4 below 20 B, else 1e-4; a tenth of that for the whole model, a fifth with lion" },
  lrSchedulerType: { group: "usual", kind: "choice", fits: choice("linear", "cosine", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial", "wsd"), allowed: "one of \"linear\", \"cosine\", \"constant\", \"constant_with_warmup\", \"cosine_with_restarts\", \"polynomial\", \"wsd\"", choices: ["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial", "wsd"], default: "linear" },
  warmupSteps: { group: "usual", kind: "whole", fits: whole(0, 10000000), allowed: "a whole number from 0 to 10,000,000", defaultWords: "5 % of the steps" },
  loraR: { group: "usual", kind: "whole", fits: whole(1, 1024), allowed: "a whole number from 1 to 1,024", range: "1 to 1,024", default: 8 },
  loraAlpha: { group: "usual", kind: "number", fits: number(0, 10000, true), allowed: "a number above 0, 10,000 at most", range: "Above 0, up to 10,000", defaultWords: "twice the rank" },
  maxLength: { group: "usual", kind: "whole", fits: whole(8, 1000000), allowed: "a whole number from 8 to 1,000,000", range: "8 or more", unit: "tokens", defaultWords: "512 on a CPU, 1,024 on a GPU, never above the model's context" },
  datasetSplit: { group: "usual", kind: "number", fits: number(0, 0.9), allowed: "a fraction of the rows, from 0 to 0.9", range: "0 to 0.9", defaultWords: "10 %, at least 8 rows from 24 on, at most 32 rows or groups of rows; none below ten rows" },
  evalSteps: { group: "usual", kind: "whole", fits: whole(0, 10000000), allowed: "a whole number from 0 to 10,000,000", unit: "steps", defaultWords: "about a quarter of the steps, aligned with checkpoints" },
  saveSteps: { group: "usual", kind: "whole", fits: whole(0, 10000000), allowed: "a whole number from 0 to 10,000,000", unit: "steps", defaultWords: "a quarter of the steps" },
  warmupRatio: { group: "schedule", kind: "number", fits: number(0, 1), allowed: "a fraction of the steps, from 0 to 1", range: "0 to 1", defaultWords: "from warmup_steps", where: "the local backend" },
  lrNumCycles: { group: "schedule", kind: "whole", fits: whole(1, 1000), allowed: "a whole number from 1 to 1,000", range: "1 to 1,000", default: 1, where: "the local backend" },
  lrPower: { group: "schedule", kind: "number", fits: number(0, 100, true), allowed: "a number above 0, 100 at most", range: "Above 0, up to 100", default: 1.0, where: "the local backend" },
  lrNumDecaySteps: { group: "schedule", kind: "whole", fits: whole(1, 10000000), allowed: "a whole number from 1 to 10,000,000", unit: "steps", defaultWords: "10 % of the steps", where: "the local backend" },
  optim: { group: "schedule", kind: "choice", fits: choice("adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion"), allowed: "one of \"adamw\", \"adamw_torch\", \"adamw_torch_fused\", \"adafactor\", \"sgd\", \"lion\"", choices: ["adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion"], default: "adamw" },
  weightDecay: { group: "schedule", kind: "number", fits: number(0, 1), allowed: "a number from 0 to 1", range: "0 to 1", default: 0.0 },
  adamBeta1: { group: "schedule", kind: "number", fits: number(0, 0.9999999), allowed: "a fraction from 0 to 0.9999999", range: "0 to 0.9999999", default: 0.9, where: "the local backend" },
  adamBeta2: { group: "schedule", kind: "number", fits: number(0, 0.9999999), allowed: "a fraction from 0 to 0.9999999", range: "0 to 0.9999999", default: 0.999, where: "the local backend" },
  adamEpsilon: { group: "schedule", kind: "number", fits: number(0, 1, true), allowed: "a number above 0, 1 at most", range: "Above 0, up to 1", default: 1e-08, where: "the local backend" },
  maxGradNorm: { group: "schedule", kind: "number", fits: number(0, 1000), allowed: "a number from 0 to 1,000", range: "0 to 1,000", default: 1.0, where: "the local backend" },
  fullFineTuning: { group: "adapter", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  loraTargetModules: { group: "adapter", kind: "list", of: { kind: "text" }, alone: ["all-linear"], fits: list(1, 200, text(1, 200), ["all-linear"]), allowed: "a name or a list of names, or \"all-linear\" alone", default: "all-linear", where: "the local backend" },
  loraLayersToTransform: { group: "adapter", kind: "list", of: { kind: "whole" }, fits: list(1, 1000, whole(0, 10000), []), allowed: "a whole number or a list of them", defaultWords: "all", where: "the local backend" },
  loraModulesToSave: { group: "adapter", kind: "list", of: { kind: "text" }, fits: list(1, 200, text(1, 200), []), allowed: "a name or a list of names", defaultWords: "none", where: "the local backend" },
  loraDropout: { group: "adapter", kind: "number", fits: number(0, 0.9), allowed: "a fraction from 0 to 0.9", range: "0 to 0.9", default: 0.0, where: "the local backend" },
  useRslora: { group: "adapter", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  useDora: { group: "adapter", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  initLoraWeights: { group: "adapter", kind: "choice", fits: choice("default", "gaussian", "orthogonal", "pissa", "olora"), allowed: "one of \"default\", \"gaussian\", \"orthogonal\", \"pissa\", \"olora\"", choices: ["default", "gaussian", "orthogonal", "pissa", "olora"], default: "default", where: "the local backend" },
  method: { group: "data", kind: "text", fits: text(1, 40), allowed: "a training method's name, 40 characters at most", default: "sft", where: "the local backend" },
  trainOnResponsesOnly: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: true },
  completionOnlyLoss: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  enableThinking: { group: "data", kind: "flag", fits: flag, allowed: "true or false", defaultWords: "the template's own", where: "the local backend" },
  thoughtWeight: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 1.0, where: "the local backend", methods: ["sft"] },
  answerWeight: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 1.0, where: "the local backend", methods: ["sft"] },
  trainOnEmptyThoughts: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: true, where: "the local backend", methods: ["sft"] },
  packing: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  groupByLength: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  labelSmoothingFactor: { group: "data", kind: "number", fits: number(0, 0.9), allowed: "a fraction from 0 to 0.9", range: "0 to 0.9", default: 0.0, where: "the local backend" },
  skipBadRows: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  beta: { group: "data", kind: "number", fits: number(0, 100, true), allowed: "a number above 0, 100 at most", range: "Above 0, up to 100", default: 0.1, where: "the local backend", methods: ["dpo", "cpo", "orpo", "kto", "grpo", "distill", "sdft"], variants: { grpo: { kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 0.0, help: "How strongly the adapter is kept near its start (KL divergence); 0 for not at all." }, distill: { kind: "number", fits: number(0, 1), allowed: "a fraction from 0 to 1", range: "0 to 1", default: 0.5, help: "0 is the KL divergence from the teacher, 1 the reverse one, and between them both." }, sdft: { kind: "number", fits: number(0, 1), allowed: "a fraction from 0 to 1", range: "0 to 1", default: 0.5, help: "0 is the KL divergence from the teacher, 1 the reverse one, and between them both." } } },
  lossType: { group: "data", kind: "choice", fits: choice("sigmoid", "hinge", "ipo", "apo_zero", "simpo"), allowed: "one of \"sigmoid\", \"hinge\", \"ipo\", \"apo_zero\", \"simpo\"", choices: ["sigmoid", "hinge", "ipo", "apo_zero", "simpo"], default: "sigmoid", where: "the local backend", methods: ["dpo", "cpo", "grpo"], variants: { grpo: { kind: "choice", fits: choice("dapo", "grpo", "bnpo", "dr_grpo"), allowed: "one of \"dapo\", \"grpo\", \"bnpo\", \"dr_grpo\"", choices: ["dapo", "grpo", "bnpo", "dr_grpo"], default: "dapo", help: "The mean over all tokens (dapo), over answers (grpo) or over batches (bnpo), or the sum by the longest answer (dr_grpo)." } } },
  rpoAlpha: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 0.0, where: "the local backend", methods: ["dpo"] },
  cpoAlpha: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 1.0, where: "the local backend", methods: ["cpo"] },
  simpoGamma: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 0.5, where: "the local backend", methods: ["cpo"] },
  desirableWeight: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 1.0, where: "the local backend", methods: ["kto"] },
  undesirableWeight: { group: "data", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 1.0, where: "the local backend", methods: ["kto"] },
  rewardFuncs: { group: "reward", kind: "list", of: { kind: "text" }, fits: list(1, 10, text(1, 60), []), allowed: "a name or a list of up to 10", defaultWords: "every [[evaluation]] with a metric other than loss; none with an environment, whose own reward counts", where: "the local backend", methods: ["grpo"] },
  rewardWeights: { group: "reward", kind: "list", of: { kind: "number" }, fits: list(1, 10, number(-1000, 1000), []), allowed: "a number or a list of up to 10", defaultWords: "1 each", where: "the local backend", methods: ["grpo"] },
  environment: { group: "reward", kind: "text", fits: text(1, 1000), allowed: "a class as module:class, 1,000 characters at most", defaultWords: "none: one answer without tools", where: "the local backend", methods: ["grpo"] },
  maxTurns: { group: "reward", kind: "whole", fits: whole(1, 100), allowed: "a whole number from 1 to 100", range: "1 to 100", unit: "answers", default: 8, where: "the local backend", methods: ["grpo"] },
  maxEpisodeTokens: { group: "reward", kind: "whole", fits: whole(1, 131072), allowed: "a whole number from 1 to 131,072", range: "1 to 131,072", unit: "tokens", default: 1024, where: "the local backend", methods: ["grpo"] },
  numGenerations: { group: "reward", kind: "whole", fits: whole(2, 128), allowed: "a whole number from 2 to 128", range: "2 to 128", unit: "answers", default: 8, where: "the local backend", methods: ["grpo"] },
  maxCompletionLength: { group: "reward", kind: "whole", fits: whole(1, 32768), allowed: "a whole number from 1 to 32,768", range: "1 to 32,768", unit: "tokens", default: 256, where: "the local backend", methods: ["grpo", "distill", "sdft"], variants: { distill: { kind: "whole", fits: whole(1, 32768), allowed: "a whole number from 1 to 32,768", range: "1 to 32,768", default: 128, help: "Most tokens of a sampled answer; a longer one is cut." }, sdft: { kind: "whole", fits: whole(1, 32768), allowed: "a whole number from 1 to 32,768", range: "1 to 32,768", default: 256, help: "Most tokens of a sampled answer; a longer one is cut." } } },
  temperature: { group: "reward", kind: "number", fits: number(0, 10, true), allowed: "a number above 0, 10 at most", range: "Above 0, up to 10", default: 1.0, where: "the local backend", methods: ["grpo", "distill", "sdft"], variants: { distill: { kind: "number", fits: number(0, 10, true), allowed: "a number above 0, 10 at most", range: "Above 0, up to 10", default: 0.9, help: "Temperature of the sampled answers: higher tries more." } } },
  scaleRewards: { group: "reward", kind: "choice", fits: choice("group", "batch", "none"), allowed: "one of \"group\", \"batch\", \"none\"", choices: ["group", "batch", "none"], default: "group", where: "the local backend", methods: ["grpo"] },
  numIterations: { group: "reward", kind: "whole", fits: whole(1, 100), allowed: "a whole number from 1 to 100", range: "1 to 100", unit: "updates", default: 1, where: "the local backend", methods: ["grpo"] },
  epsilon: { group: "reward", kind: "number", fits: number(0, 1, true), allowed: "a number above 0, 1 at most", range: "Above 0, up to 1", default: 0.2, where: "the local backend", methods: ["grpo"] },
  epsilonHigh: { group: "reward", kind: "number", fits: number(0, 10, true), allowed: "a number above 0, 10 at most", range: "Above 0, up to 10", defaultWords: "epsilon", where: "the local backend", methods: ["grpo"] },
  importanceSamplingLevel: { group: "reward", kind: "choice", fits: choice("token", "sequence"), allowed: "one of \"token\", \"sequence\"", choices: ["token", "sequence"], default: "token", where: "the local backend", methods: ["grpo"] },
  maskTruncatedCompletions: { group: "reward", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend", methods: ["grpo"] },
  softPunishCache: { group: "reward", kind: "whole", fits: whole(1, 32768), allowed: "a whole number from 1 to 32,768", range: "1 to 32,768", unit: "tokens", defaultWords: "no punishment", where: "the local backend", methods: ["grpo"] },
  maxResampleTimes: { group: "reward", kind: "whole", fits: whole(0, 20), allowed: "a whole number from 0 to 20", range: "0 to 20", unit: "times", default: 0, where: "the local backend", methods: ["grpo"] },
  teacher: { group: "data", kind: "text", fits: text(1, 500), allowed: "a model's name or folder, or a job's id, 500 characters at most", defaultWords: "none, so it must be set", where: "the local backend", methods: ["distill"] },
  lmbda: { group: "data", kind: "number", fits: number(0, 1), allowed: "a fraction from 0 to 1", range: "0 to 1", default: 0.5, where: "the local backend", methods: ["distill"] },
  seqKd: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend", methods: ["distill"] },
  distillationTopk: { group: "data", kind: "whole", fits: whole(0, 10000000), allowed: "a whole number from 0 to 10,000,000", unit: "tokens", default: 0, where: "the local backend", methods: ["distill", "sdft"], variants: { sdft: { kind: "whole", fits: whole(0, 10000000), allowed: "a whole number from 0 to 10,000,000", default: 100, help: "At each position, only this many of the model's likeliest tokens are compared with the teacher's; 0 for the whole vocabulary." } } },
  distillationAddTail: { group: "data", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend", methods: ["distill", "sdft"] },
  teacherModelKind: { group: "data", kind: "choice", fits: choice("base", "ema", "live"), allowed: "one of \"base\", \"ema\", \"live\"", choices: ["base", "ema", "live"], default: "base", where: "the local backend", methods: ["sdft"] },
  teacherUpdateRate: { group: "data", kind: "number", fits: number(0, 1, true), allowed: "a number above 0, 1 at most", range: "Above 0, up to 1", default: 0.05, where: "the local backend", methods: ["sdft"] },
  teacherSyncSteps: { group: "data", kind: "whole", fits: whole(1, 10000000), allowed: "a whole number from 1 to 10,000,000", unit: "steps", default: 1, where: "the local backend", methods: ["sdft"] },
  classWeight: { group: "data", kind: "list", of: { kind: "text" }, alone: ["none", "balanced"], fits: list(1, 1000, text(1, 1000), ["none", "balanced"]), allowed: "\"none\" or \"balanced\" alone, or a list of \"label=weight\"", default: "none", where: "the local backend", methods: ["classify"] },
  loss: { group: "data", kind: "choice", fits: choice("MultipleNegativesRankingLoss", "CoSENTLoss", "CosineSimilarityLoss"), allowed: "one of \"MultipleNegativesRankingLoss\", \"CoSENTLoss\", \"CosineSimilarityLoss\"", choices: ["MultipleNegativesRankingLoss", "CoSENTLoss", "CosineSimilarityLoss"], defaultWords: "MultipleNegativesRankingLoss; CoSENTLoss for pairs with scores", where: "the local backend", methods: ["embed"] },
  scale: { group: "data", kind: "number", fits: number(0, 1000, true), allowed: "a number above 0, 1,000 at most", range: "Above 0, up to 1,000", default: 20.0, where: "the local backend", methods: ["embed"] },
  matryoshkaDims: { group: "data", kind: "list", of: { kind: "whole" }, fits: list(1, 16, whole(1, 100000), []), allowed: "a whole number or a list of up to 16", defaultWords: "the full size only", where: "the local backend", methods: ["embed"] },
  poolingMode: { group: "data", kind: "choice", fits: choice("mean", "lasttoken"), allowed: "one of \"mean\", \"lasttoken\"", choices: ["mean", "lasttoken"], default: "mean", where: "the local backend", methods: ["embed"] },
  queryPrompt: { group: "data", kind: "text", fits: text(1, 1000), allowed: "one line of text, 1,000 characters at most", defaultWords: "none", where: "the local backend", methods: ["embed"] },
  documentPrompt: { group: "data", kind: "text", fits: text(1, 1000), allowed: "one line of text, 1,000 characters at most", defaultWords: "none", where: "the local backend", methods: ["embed"] },
  corpus: { group: "data", kind: "text", fits: text(1, 1000), allowed: "the path of a file or folder of the project, 1,000 characters at most", defaultWords: "the held-out documents alone", where: "the local backend", methods: ["embed"] },
  loggingSteps: { group: "evaluation", kind: "whole", fits: whole(1, 10000000), allowed: "a whole number from 1 to 10,000,000", unit: "steps", defaultWords: "1/500 of the steps" },
  samples: { group: "evaluation", kind: "list", of: { kind: "text" }, alone: ["off"], fits: list(1, 8, text(1, 2000), ["off"]), allowed: "a prompt or a list of up to 8, each one line of text, or \"off\" alone", defaultWords: "three held-out examples", where: "the local backend" },
  earlyStoppingPatience: { group: "evaluation", kind: "whole", fits: whole(1, 1000), allowed: "a whole number from 1 to 1,000", range: "1 to 1,000", unit: "evaluations", defaultWords: "early stopping off; the final adapter is kept", where: "the local backend" },
  earlyStoppingThreshold: { group: "evaluation", kind: "number", fits: number(0, 100), allowed: "a number from 0 to 100", range: "0 to 100", default: 0.0, where: "the local backend" },
  stopWhen: { group: "evaluation", kind: "choice", fits: choice("last_step", "settled"), allowed: "one of \"last_step\", \"settled\"", choices: ["last_step", "settled"], default: "last_step", where: "the local backend", methods: ["sft", "sdft", "distill"] },
  verdictMargin: { group: "evaluation", kind: "number", fits: number(0, 10), allowed: "a number from 0 to 10", range: "0 to 10", unit: "nats", default: 0.01, where: "the local backend", variants: { classify: { kind: "number", fits: number(0, 10), allowed: "a number from 0 to 10", range: "0 to 10", default: 0.01, help: "The smallest difference in accuracy from the most frequent label that counts as better or worse in the verdict." }, embed: { kind: "number", fits: number(0, 10), allowed: "a number from 0 to 10", range: "0 to 10", default: 0.01, help: "The smallest difference in nDCG@10, or in the rank correlation with scores, that counts as better or worse in the verdict." }, rerank: { kind: "number", fits: number(0, 10), allowed: "a number from 0 to 10", range: "0 to 10", default: 0.01, help: "The smallest difference in nDCG@10 from the order of the rows that counts as better or worse in the verdict." } } },
  replay: { group: "data", kind: "number", fits: number(0, 0.5), allowed: "a number from 0 to 0.5", range: "0 to 0.5", default: 0.0, where: "the local backend", methods: ["sft"] },
  replayDataset: { group: "data", kind: "text", fits: text(1, 1000), allowed: "the path of a file or folder of the project, 1,000 characters at most", defaultWords: "the built-in prompts", where: "the local backend", methods: ["sft"] },
  baseKl: { group: "data", kind: "number", fits: number(0, 10), allowed: "a number from 0 to 10", range: "0 to 10", default: 0.0, where: "the local backend", methods: ["sft"] },
  maxHarm: { group: "data", kind: "number", fits: number(0.01, 10), allowed: "a number from 0.01 to 10", range: "0.01 to 10", unit: "nats", defaultWords: "no limit", where: "the local backend", methods: ["sft", "sdft", "distill"] },
  saveTotalLimit: { group: "evaluation", kind: "whole", fits: whole(1, 10000), allowed: "a whole number from 1 to 10,000", range: "1 to 10,000", unit: "checkpoints", defaultWords: "all", where: "the local backend" },
  onNonFinite: { group: "evaluation", kind: "choice", fits: choice("stop", "lower_rate"), allowed: "one of \"stop\", \"lower_rate\"", choices: ["stop", "lower_rate"], default: "stop", where: "the local backend" },
  loadIn4bit: { group: "precision", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "CUDA GPUs" },
  numberFormat: { group: "precision", kind: "choice", fits: choice("auto", "float32", "bfloat16", "float16"), allowed: "one of \"auto\", \"float32\", \"bfloat16\", \"float16\"", choices: ["auto", "float32", "bfloat16", "float16"], defaultWords: "the faster one, measured, on a CPU; bfloat16 on a GPU that supports it", where: "the local backend" },
  bf16: { group: "precision", kind: "flag", fits: flag, allowed: "true or false", defaultWords: "from number_format", where: "the local backend" },
  fp16: { group: "precision", kind: "flag", fits: flag, allowed: "true or false", defaultWords: "from number_format", where: "the local backend" },
  gradientCheckpointing: { group: "precision", kind: "flag", fits: flag, allowed: "true or false", defaultWords: "on with load_in_4bit only", where: "the local backend" },
  offload: { group: "precision", kind: "choice", fits: choice("auto", "none", "layers"), allowed: "one of \"auto\", \"none\", \"layers\"", choices: ["auto", "none", "layers"], default: "auto", where: "CPUs, CUDA GPUs" },
  activationOffloading: { group: "precision", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "CUDA GPUs" },
  seed: { group: "advanced", kind: "whole", fits: whole(0, 4294967295), allowed: "a whole number from 0 to 4,294,967,295", default: 42, where: "the local backend" },
  dataSeed: { group: "advanced", kind: "whole", fits: whole(0, 4294967295), allowed: "a whole number from 0 to 4,294,967,295", defaultWords: "seed", where: "the local backend" },
  splitSeed: { group: "advanced", kind: "whole", fits: whole(0, 4294967295), allowed: "a whole number from 0 to 4,294,967,295", defaultWords: "seed", where: "the local backend" },
  neftuneNoiseAlpha: { group: "advanced", kind: "number", fits: number(0, 1000), allowed: "a number from 0 to 1,000", range: "0 to 1,000", defaultWords: "none", where: "the local backend" },
  reportTo: { group: "advanced", kind: "list", of: { kind: "choice" }, fits: list(1, 4, choice("tensorboard", "trackio", "wandb", "mlflow"), []), allowed: "one or several of tensorboard, trackio, wandb, mlflow", defaultWords: "none", where: "the local backend" },
  pauseOnBattery: { group: "advanced", kind: "flag", fits: flag, allowed: "true or false", default: false, where: "the local backend" },
  dryRun: { group: "advanced", kind: "flag", fits: flag, allowed: "true or false", default: false },
  cpus: { group: "advanced", kind: "whole", fits: whole(1, 1024), allowed: "a whole number from 1 to 1,024", range: "1 to 1,024", defaultWords: "one core, all threads", where: "the local backend, on a cluster" },
  gpus: { group: "advanced", kind: "whole", fits: whole(0, 16), allowed: "a whole number from 0 to 16", range: "0 to 16", defaultWords: "one here, more if the model needs them; none on a cluster", where: "the local backend" },
  memory: { group: "advanced", kind: "number", fits: number(0, 100000, true), allowed: "a number above 0, 100,000 at most", range: "Above 0, up to 100,000", unit: "GiB", defaultWords: "no reservation", where: "the local backend, on a cluster" },
  workers: { group: "advanced", kind: "whole", fits: whole(1, 64), allowed: "a whole number from 1 to 64", range: "1 to 64", defaultWords: "one", where: "the local backend" },
  gpuTypes: { group: "advanced", kind: "list", of: { kind: "text" }, fits: list(1, 16, text(1, 100), []), allowed: "a GPU type or a list of up to 16", defaultWords: "the backend's choice", where: "the managed backend" },
};

export type Config = Readonly<Record<string, unknown>>;

/** Whether a setting has an effect: null and its default have none, nor do false, zero and
 * empty values, unless its default is none of them. */
function isSet(value: unknown, fallback: unknown): boolean {
  const text = JSON.stringify(value ?? null);
  return Boolean(value || fallback) && !oneOf(text, "null", "[]", JSON.stringify(fallback));
}

/** The value of a setting, and its default if it is not set; undefined if it is invalid. */
function valueOf(config: Config, field: Setting["field"]): unknown {
  const value = config[field] ?? null;
  if (value === null) return RULES[field].default ?? null;
  return RULES[field].fits(value) ? value : undefined;
}

/** Incompatible settings, by the one to remove. */
export const CONFLICTS: readonly {
  field: Setting["field"];
  text: string;
  arises: (c: Config) => boolean;
}[] = [
  { field: "earlyStoppingThreshold", text: "Early stopping threshold applies only with Early stopping patience. Set that too.", arises: (c) => isSet(c.earlyStoppingThreshold, 0.0) && oneOf(valueOf(c, "earlyStoppingPatience"), null) },
  { field: "maxTurns", text: "Most turns applies only with Environment. Set that, or remove Most turns.", arises: (c) => isSet(c.maxTurns, 8) && oneOf(valueOf(c, "environment"), null) },
  { field: "maxEpisodeTokens", text: "Longest episode applies only with Environment. Set that, or remove Longest episode.", arises: (c) => isSet(c.maxEpisodeTokens, 1024) && oneOf(valueOf(c, "environment"), null) },
  { field: "softPunishCache", text: "Soft overlong punishment counts the tokens of one answer, Environment has several. Remove one of the two.", arises: (c) => isSet(c.softPunishCache, null) && c.environment != null },
  { field: "warmupRatio", text: "Warmup ratio and Warmup steps are both set. Remove one of the two.", arises: (c) => isSet(c.warmupRatio, null) && c.warmupSteps != null },
  { field: "warmupSteps", text: "Warmup steps has no effect when LR scheduler is \"constant\", which has no warm-up, as in transformers. Set \"constant_with_warmup\", or remove Warmup steps.", arises: (c) => isSet(c.warmupSteps, null) && oneOf(valueOf(c, "lrSchedulerType"), "constant") },
  { field: "warmupRatio", text: "Warmup ratio has no effect when LR scheduler is \"constant\", which has no warm-up, as in transformers. Set \"constant_with_warmup\", or remove Warmup ratio.", arises: (c) => isSet(c.warmupRatio, null) && oneOf(valueOf(c, "lrSchedulerType"), "constant") },
  { field: "bf16", text: "Use bfloat16 and Compute dtype are both set. Remove one of the two.", arises: (c) => isSet(c.bf16, null) && c.numberFormat != null },
  { field: "fp16", text: "Use float16 and Compute dtype are both set. Remove one of the two.", arises: (c) => isSet(c.fp16, null) && c.numberFormat != null },
  { field: "fp16", text: "Use bfloat16 and Use float16 are both true. Choose one.", arises: (c) => isSet(c.fp16, null) && oneOf(valueOf(c, "bf16"), true) },
  { field: "earlyStoppingPatience", text: "Early stopping patience requires evaluations, but Evaluate every is 0. Set that above 0, or remove Early stopping patience.", arises: (c) => isSet(c.earlyStoppingPatience, null) && oneOf(valueOf(c, "evalSteps"), 0) },
  { field: "stopWhen", text: "Stop when requires evaluations, but Evaluate every is 0. Set that above 0, or remove Stop when.", arises: (c) => isSet(c.stopWhen, "last_step") && oneOf(valueOf(c, "evalSteps"), 0) },
  { field: "stopWhen", text: "Stop when needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.stopWhen, "last_step") && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "stopWhen", text: "Stop when compares with the base, but Initialization changes it. Remove one of the two.", arises: (c) => isSet(c.stopWhen, "last_step") && oneOf(valueOf(c, "initLoraWeights"), "pissa", "olora") },
  { field: "maxHarm", text: "Max harm in general needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.maxHarm, null) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "maxHarm", text: "Max harm in general turns the adapter down, but pissa and olora in Initialization change the base as well. Remove one of the two.", arises: (c) => isSet(c.maxHarm, null) && oneOf(valueOf(c, "initLoraWeights"), "pissa", "olora") },
  { field: "maxHarm", text: "Max harm in general turns the adapter down, but one with DoRA works only at full strength. Remove one of the two.", arises: (c) => isSet(c.maxHarm, null) && oneOf(valueOf(c, "useDora"), true) },
  { field: "loraModulesToSave", text: "Max harm in general turns the adapter down, but layers in Modules to save have no strength. Remove one of the two.", arises: (c) => isSet(c.loraModulesToSave, null) && c.maxHarm != null },
  { field: "saveTotalLimit", text: "Max checkpoints to keep requires checkpoints, but Save every is 0. Set that above 0, or remove Max checkpoints to keep.", arises: (c) => isSet(c.saveTotalLimit, null) && oneOf(valueOf(c, "saveSteps"), 0) },
  { field: "lrNumCycles", text: "Restart cycles applies only when LR scheduler is \"cosine_with_restarts\". Set that, or remove Restart cycles.", arises: (c) => isSet(c.lrNumCycles, 1) && !oneOf(valueOf(c, "lrSchedulerType"), undefined, "cosine_with_restarts") },
  { field: "lrPower", text: "Polynomial power applies only when LR scheduler is \"polynomial\". Set that, or remove Polynomial power.", arises: (c) => isSet(c.lrPower, 1.0) && !oneOf(valueOf(c, "lrSchedulerType"), undefined, "polynomial") },
  { field: "lrNumDecaySteps", text: "WSD decay steps applies only when LR scheduler is \"wsd\". Set that, or remove WSD decay steps.", arises: (c) => isSet(c.lrNumDecaySteps, null) && !oneOf(valueOf(c, "lrSchedulerType"), undefined, "wsd") },
  { field: "adamBeta1", text: "Adam beta1 applies only when Optimizer is \"adamw\" or \"adamw_torch\" or \"adamw_torch_fused\" or \"lion\". Set that, or remove Adam beta1.", arises: (c) => isSet(c.adamBeta1, 0.9) && !oneOf(valueOf(c, "optim"), undefined, "adamw", "adamw_torch", "adamw_torch_fused", "lion") },
  { field: "adamBeta2", text: "Adam beta2 applies only when Optimizer is \"adamw\" or \"adamw_torch\" or \"adamw_torch_fused\" or \"lion\". Set that, or remove Adam beta2.", arises: (c) => isSet(c.adamBeta2, 0.999) && !oneOf(valueOf(c, "optim"), undefined, "adamw", "adamw_torch", "adamw_torch_fused", "lion") },
  { field: "adamEpsilon", text: "Adam epsilon applies only when Optimizer is \"adamw\" or \"adamw_torch\" or \"adamw_torch_fused\". Set that, or remove Adam epsilon.", arises: (c) => isSet(c.adamEpsilon, 1e-08) && !oneOf(valueOf(c, "optim"), undefined, "adamw", "adamw_torch", "adamw_torch_fused") },
  { field: "loraR", text: "LoRA rank needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.loraR, 8) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "loraAlpha", text: "LoRA alpha needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.loraAlpha, null) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "loraTargetModules", text: "Target modules needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.loraTargetModules, "all-linear") && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "loraLayersToTransform", text: "Layers to adapt needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.loraLayersToTransform, null) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "loraModulesToSave", text: "Modules to save needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.loraModulesToSave, null) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "loraDropout", text: "LoRA dropout needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.loraDropout, 0.0) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "useRslora", text: "Rank-stabilized LoRA needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.useRslora, false) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "useDora", text: "DoRA needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.useDora, false) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "initLoraWeights", text: "Initialization needs an adapter, but Full fine-tuning trains without one. Remove one of the two.", arises: (c) => isSet(c.initLoraWeights, "default") && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "thoughtWeight", text: "Weight of thoughts applies only when Training method is \"sft\". Set that, or remove Weight of thoughts.", arises: (c) => isSet(c.thoughtWeight, 1.0) && !oneOf(valueOf(c, "method"), undefined, "sft") },
  { field: "answerWeight", text: "Weight of answers applies only when Training method is \"sft\". Set that, or remove Weight of answers.", arises: (c) => isSet(c.answerWeight, 1.0) && !oneOf(valueOf(c, "method"), undefined, "sft") },
  { field: "trainOnEmptyThoughts", text: "Loss on empty thoughts applies only when Training method is \"sft\". Set that, or remove Loss on empty thoughts.", arises: (c) => isSet(c.trainOnEmptyThoughts, true) && !oneOf(valueOf(c, "method"), undefined, "sft") },
  { field: "beta", text: "Beta applies only when Training method is \"dpo\" or \"cpo\" or \"orpo\" or \"kto\" or \"grpo\" or \"distill\" or \"sdft\". Set that, or remove Beta.", arises: (c) => isSet(c.beta, c.method === "sdft" ? 0.5 : c.method === "distill" ? 0.5 : c.method === "grpo" ? 0.0 : 0.1) && !oneOf(valueOf(c, "method"), undefined, "dpo", "cpo", "orpo", "kto", "grpo", "distill", "sdft") },
  { field: "lossType", text: "Loss type applies only when Training method is \"dpo\" or \"cpo\" or \"grpo\". Set that, or remove Loss type.", arises: (c) => isSet(c.lossType, c.method === "grpo" ? "dapo" : "sigmoid") && !oneOf(valueOf(c, "method"), undefined, "dpo", "cpo", "grpo") },
  { field: "rpoAlpha", text: "RPO alpha applies only when Training method is \"dpo\". Set that, or remove RPO alpha.", arises: (c) => isSet(c.rpoAlpha, 0.0) && !oneOf(valueOf(c, "method"), undefined, "dpo") },
  { field: "cpoAlpha", text: "CPO alpha applies only when Training method is \"cpo\". Set that, or remove CPO alpha.", arises: (c) => isSet(c.cpoAlpha, 1.0) && !oneOf(valueOf(c, "method"), undefined, "cpo") },
  { field: "simpoGamma", text: "Target margin applies only when Training method is \"cpo\". Set that, or remove Target margin.", arises: (c) => isSet(c.simpoGamma, 0.5) && !oneOf(valueOf(c, "method"), undefined, "cpo") },
  { field: "desirableWeight", text: "Weight of good answers applies only when Training method is \"kto\". Set that, or remove Weight of good answers.", arises: (c) => isSet(c.desirableWeight, 1.0) && !oneOf(valueOf(c, "method"), undefined, "kto") },
  { field: "undesirableWeight", text: "Weight of bad answers applies only when Training method is \"kto\". Set that, or remove Weight of bad answers.", arises: (c) => isSet(c.undesirableWeight, 1.0) && !oneOf(valueOf(c, "method"), undefined, "kto") },
  { field: "rewardFuncs", text: "Rewards applies only when Training method is \"grpo\". Set that, or remove Rewards.", arises: (c) => isSet(c.rewardFuncs, null) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "rewardWeights", text: "Reward weights applies only when Training method is \"grpo\". Set that, or remove Reward weights.", arises: (c) => isSet(c.rewardWeights, null) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "environment", text: "Environment applies only when Training method is \"grpo\". Set that, or remove Environment.", arises: (c) => isSet(c.environment, null) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "maxTurns", text: "Most turns applies only when Training method is \"grpo\". Set that, or remove Most turns.", arises: (c) => isSet(c.maxTurns, 8) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "maxEpisodeTokens", text: "Longest episode applies only when Training method is \"grpo\". Set that, or remove Longest episode.", arises: (c) => isSet(c.maxEpisodeTokens, 1024) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "numGenerations", text: "Answers per prompt applies only when Training method is \"grpo\". Set that, or remove Answers per prompt.", arises: (c) => isSet(c.numGenerations, 8) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "maxCompletionLength", text: "Longest answer applies only when Training method is \"grpo\" or \"distill\" or \"sdft\". Set that, or remove Longest answer.", arises: (c) => isSet(c.maxCompletionLength, c.method === "distill" ? 128 : 256) && !oneOf(valueOf(c, "method"), undefined, "grpo", "distill", "sdft") },
  { field: "temperature", text: "Temperature applies only when Training method is \"grpo\" or \"distill\" or \"sdft\". Set that, or remove Temperature.", arises: (c) => isSet(c.temperature, c.method === "distill" ? 0.9 : 1.0) && !oneOf(valueOf(c, "method"), undefined, "grpo", "distill", "sdft") },
  { field: "scaleRewards", text: "Scale of the rewards applies only when Training method is \"grpo\". Set that, or remove Scale of the rewards.", arises: (c) => isSet(c.scaleRewards, "group") && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "numIterations", text: "Updates per step applies only when Training method is \"grpo\". Set that, or remove Updates per step.", arises: (c) => isSet(c.numIterations, 1) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "epsilon", text: "Clipping applies only when Training method is \"grpo\". Set that, or remove Clipping.", arises: (c) => isSet(c.epsilon, 0.2) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "epsilonHigh", text: "Upper clipping applies only when Training method is \"grpo\". Set that, or remove Upper clipping.", arises: (c) => isSet(c.epsilonHigh, null) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "importanceSamplingLevel", text: "Importance sampling level applies only when Training method is \"grpo\". Set that, or remove Importance sampling level.", arises: (c) => isSet(c.importanceSamplingLevel, "token") && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "maskTruncatedCompletions", text: "Leave out cut answers applies only when Training method is \"grpo\". Set that, or remove Leave out cut answers.", arises: (c) => isSet(c.maskTruncatedCompletions, false) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "softPunishCache", text: "Soft overlong punishment applies only when Training method is \"grpo\". Set that, or remove Soft overlong punishment.", arises: (c) => isSet(c.softPunishCache, null) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "maxResampleTimes", text: "Dynamic sampling applies only when Training method is \"grpo\". Set that, or remove Dynamic sampling.", arises: (c) => isSet(c.maxResampleTimes, 0) && !oneOf(valueOf(c, "method"), undefined, "grpo") },
  { field: "teacher", text: "Teacher applies only when Training method is \"distill\". Set that, or remove Teacher.", arises: (c) => isSet(c.teacher, null) && !oneOf(valueOf(c, "method"), undefined, "distill") },
  { field: "lmbda", text: "Share of own answers applies only when Training method is \"distill\". Set that, or remove Share of own answers.", arises: (c) => isSet(c.lmbda, 0.5) && !oneOf(valueOf(c, "method"), undefined, "distill") },
  { field: "seqKd", text: "Answers of the teacher applies only when Training method is \"distill\". Set that, or remove Answers of the teacher.", arises: (c) => isSet(c.seqKd, false) && !oneOf(valueOf(c, "method"), undefined, "distill") },
  { field: "distillationTopk", text: "Compared tokens applies only when Training method is \"distill\" or \"sdft\". Set that, or remove Compared tokens.", arises: (c) => isSet(c.distillationTopk, c.method === "sdft" ? 100 : 0) && !oneOf(valueOf(c, "method"), undefined, "distill", "sdft") },
  { field: "distillationAddTail", text: "Compare the rest applies only when Training method is \"distill\" or \"sdft\". Set that, or remove Compare the rest.", arises: (c) => isSet(c.distillationAddTail, false) && !oneOf(valueOf(c, "method"), undefined, "distill", "sdft") },
  { field: "teacherModelKind", text: "Weights of the teacher applies only when Training method is \"sdft\". Set that, or remove Weights of the teacher.", arises: (c) => isSet(c.teacherModelKind, "base") && !oneOf(valueOf(c, "method"), undefined, "sdft") },
  { field: "teacherUpdateRate", text: "Rate of the average applies only when Training method is \"sdft\". Set that, or remove Rate of the average.", arises: (c) => isSet(c.teacherUpdateRate, 0.05) && !oneOf(valueOf(c, "method"), undefined, "sdft") },
  { field: "teacherSyncSteps", text: "Steps between its updates applies only when Training method is \"sdft\". Set that, or remove Steps between its updates.", arises: (c) => isSet(c.teacherSyncSteps, 1) && !oneOf(valueOf(c, "method"), undefined, "sdft") },
  { field: "classWeight", text: "Class weights applies only when Training method is \"classify\". Set that, or remove Class weights.", arises: (c) => isSet(c.classWeight, "none") && !oneOf(valueOf(c, "method"), undefined, "classify") },
  { field: "loss", text: "Loss applies only when Training method is \"embed\". Set that, or remove Loss.", arises: (c) => isSet(c.loss, null) && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "scale", text: "Scale applies only when Training method is \"embed\". Set that, or remove Scale.", arises: (c) => isSet(c.scale, 20.0) && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "matryoshkaDims", text: "Matryoshka dimensions applies only when Training method is \"embed\". Set that, or remove Matryoshka dimensions.", arises: (c) => isSet(c.matryoshkaDims, null) && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "poolingMode", text: "Pooling applies only when Training method is \"embed\". Set that, or remove Pooling.", arises: (c) => isSet(c.poolingMode, "mean") && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "queryPrompt", text: "Prompt of queries applies only when Training method is \"embed\". Set that, or remove Prompt of queries.", arises: (c) => isSet(c.queryPrompt, null) && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "documentPrompt", text: "Prompt of documents applies only when Training method is \"embed\". Set that, or remove Prompt of documents.", arises: (c) => isSet(c.documentPrompt, null) && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "corpus", text: "Corpus applies only when Training method is \"embed\". Set that, or remove Corpus.", arises: (c) => isSet(c.corpus, null) && !oneOf(valueOf(c, "method"), undefined, "embed") },
  { field: "stopWhen", text: "Stop when applies only when Training method is \"sft\" or \"sdft\" or \"distill\". Set that, or remove Stop when.", arises: (c) => isSet(c.stopWhen, "last_step") && !oneOf(valueOf(c, "method"), undefined, "sft", "sdft", "distill") },
  { field: "replay", text: "Replay applies only when Training method is \"sft\". Set that, or remove Replay.", arises: (c) => isSet(c.replay, 0.0) && !oneOf(valueOf(c, "method"), undefined, "sft") },
  { field: "replayDataset", text: "Replay data set applies only when Training method is \"sft\". Set that, or remove Replay data set.", arises: (c) => isSet(c.replayDataset, null) && !oneOf(valueOf(c, "method"), undefined, "sft") },
  { field: "baseKl", text: "Base KL penalty applies only when Training method is \"sft\". Set that, or remove Base KL penalty.", arises: (c) => isSet(c.baseKl, 0.0) && !oneOf(valueOf(c, "method"), undefined, "sft") },
  { field: "maxHarm", text: "Max harm in general applies only when Training method is \"sft\" or \"sdft\" or \"distill\". Set that, or remove Max harm in general.", arises: (c) => isSet(c.maxHarm, null) && !oneOf(valueOf(c, "method"), undefined, "sft", "sdft", "distill") },
  { field: "loadIn4bit", text: "Full fine-tuning needs unquantized weights, which Quantize to 4 bits doesn't load. Choose one.", arises: (c) => isSet(c.loadIn4bit, false) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "fullFineTuning", text: "Layer streaming leaves the weights in their files, but Full fine-tuning trains them. Remove one of the two.", arises: (c) => isSet(c.fullFineTuning, false) && oneOf(valueOf(c, "offload"), "layers") },
  { field: "useDora", text: "Layer streaming leaves the weights in their files, but DoRA reads all of them before the first step. Remove one of the two.", arises: (c) => isSet(c.useDora, false) && oneOf(valueOf(c, "offload"), "layers") },
  { field: "replayDataset", text: "Replay data set requires Replay or Base KL penalty above 0. Set one of them, or remove Replay data set.", arises: (c) => isSet(c.replayDataset, null) && !c.baseKl && oneOf(valueOf(c, "replay"), 0) },
  { field: "baseKl", text: "Base KL penalty compares with the base under the adapter, which Full fine-tuning changes. Use replay instead, or remove one of the two.", arises: (c) => isSet(c.baseKl, 0.0) && oneOf(valueOf(c, "fullFineTuning"), true) },
  { field: "baseKl", text: "Base KL penalty compares with the base under the adapter, which pissa and olora in Initialization change. Use replay instead, or remove one of the two.", arises: (c) => isSet(c.baseKl, 0.0) && oneOf(valueOf(c, "initLoraWeights"), "pissa", "olora") },
  { field: "completionOnlyLoss", text: "Loss on last answer only limits the loss to the last answer, Loss on answers only = false extends it to all tokens. Choose one.", arises: (c) => isSet(c.completionOnlyLoss, false) && oneOf(valueOf(c, "trainOnResponsesOnly"), false) },
  { field: "thoughtWeight", text: "Weight of thoughts chooses among the tokens of answers, Loss on answers only = false learns all tokens. Remove one of the two.", arises: (c) => isSet(c.thoughtWeight, 1.0) && oneOf(valueOf(c, "trainOnResponsesOnly"), false) },
  { field: "answerWeight", text: "Weight of answers chooses among the tokens of answers, Loss on answers only = false learns all tokens. Remove one of the two.", arises: (c) => isSet(c.answerWeight, 1.0) && oneOf(valueOf(c, "trainOnResponsesOnly"), false) },
  { field: "trainOnEmptyThoughts", text: "Loss on empty thoughts chooses among the tokens of answers, Loss on answers only = false learns all tokens. Remove one of the two.", arises: (c) => isSet(c.trainOnEmptyThoughts, true) && oneOf(valueOf(c, "trainOnResponsesOnly"), false) },
  { field: "thoughtWeight", text: "Weight of thoughts counts beside Weight of answers, which is 0: with nothing to weigh against, it has no effect. Remove one of the two.", arises: (c) => isSet(c.thoughtWeight, 1.0) && oneOf(valueOf(c, "answerWeight"), 0) },
  { field: "answerWeight", text: "Weight of answers counts beside Weight of thoughts, which is 0: with nothing to weigh against, it has no effect. Remove one of the two.", arises: (c) => isSet(c.answerWeight, 1.0) && oneOf(valueOf(c, "thoughtWeight"), 0) },
  { field: "trainOnEmptyThoughts", text: "Loss on empty thoughts = false has no effect if Weight of thoughts is 0: no thoughts are learned. Remove one of the two.", arises: (c) => isSet(c.trainOnEmptyThoughts, true) && oneOf(valueOf(c, "thoughtWeight"), 0) },
  { field: "epsilonHigh", text: "Upper clipping must not be below Clipping. Raise it, or remove it.", arises: (c) => isSet(c.epsilonHigh, null) && Number(c.epsilonHigh) < Number(valueOf(c, "epsilon")) },
  { field: "softPunishCache", text: "Soft overlong punishment must not be above Longest answer. Lower it, or allow longer answers.", arises: (c) => isSet(c.softPunishCache, null) && Number(c.softPunishCache) > Number(valueOf(c, "maxCompletionLength")) },
  { field: "useDora", text: "DoRA can't be combined with pissa or olora in Initialization. Choose one.", arises: (c) => isSet(c.useDora, false) && oneOf(valueOf(c, "initLoraWeights"), "pissa", "olora") },
  { field: "loadIn4bit", text: "pissa and olora in Initialization need unquantized weights. Remove Quantize to 4 bits.", arises: (c) => isSet(c.loadIn4bit, false) && oneOf(valueOf(c, "initLoraWeights"), "pissa", "olora") },
];

/** The fields of settings that can change while a job continues. */
export const ADJUSTABLE: ReadonlySet<string> = new Set(["maxSteps", "numTrainEpochs", "learningRate", "lrSchedulerType", "warmupSteps", "evalSteps", "saveSteps", "warmupRatio", "lrNumCycles", "lrPower", "lrNumDecaySteps", "maxGradNorm", "loggingSteps", "verdictMargin", "saveTotalLimit", "onNonFinite", "pauseOnBattery"]);

/** Every setting, in reading order. */
export const FORM: readonly FormSetting[] = SETTINGS.map((shown) => ({
  ...shown,
  help: HELP.get(shown.field) ?? "",
  ...RULES[shown.field],
}));
