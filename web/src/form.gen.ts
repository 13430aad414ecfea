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

/** `low` (or above it) and `high` bound a number, the characters of a text, or the members of
 * a list. Each fits `of`; one may stand without a list, and `alone` has none beside it. */
export interface Rule {
  kind: "choice" | "flag" | "list" | "number" | "text" | "whole";
  low?: number;
  high?: number;
  above?: boolean;
  choices?: readonly string[];
  of?: Rule;
  alone?: readonly string[];
}

/** What a form has to know of a setting. */
export interface FormSetting extends Setting, Rule {
  group: Group;
  help: string;
  /** What a value must be, in words, where its kind and bounds do not say it. */
  allowed?: string;
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

const RULES: Readonly<Record<Setting["field"], Omit<FormSetting, keyof Setting | "help">>> = {
  model: { group: "usual", kind: "text", low: 1, high: 300, allowed: "a model's name or folder, as one line of text, 300 characters at most", required: true },
  maxSteps: { group: "usual", kind: "whole", low: 1, high: 10000000, unit: "steps", defaultWords: "derived from epochs" },
  numTrainEpochs: { group: "usual", kind: "number", low: 0, high: 10000, above: true, default: 3 },
  batchSize: { group: "usual", kind: "whole", low: 1, high: 1024, unit: "examples", default: 4 },
  gradientAccumulationSteps: { group: "usual", kind: "whole", low: 1, high: 10000, default: 1, where: "the local backend" },
  learningRate: { group: "usual", kind: "number", low: 0, high: 1, above: true, defaultWords: "by the model's size: 5e-4 below 4 B parameters, 2e-4 below 20 B, else 1e-4; a tenth of that for the whole model, a fifth with lion" },
  lrSchedulerType: { group: "usual", kind: "choice", choices: ["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_restarts", "polynomial", "wsd"], default: "linear" },
  warmupSteps: { group: "usual", kind: "whole", low: 0, high: 10000000, defaultWords: "5 % of the steps" },
  loraR: { group: "usual", kind: "whole", low: 1, high: 1024, default: 8 },
  loraAlpha: { group: "usual", kind: "number", low: 0, high: 10000, above: true, defaultWords: "twice the rank" },
  maxLength: { group: "usual", kind: "whole", low: 8, high: 1000000, unit: "tokens", defaultWords: "512 on a CPU, 1,024 on a GPU, never above the model's context" },
  datasetSplit: { group: "usual", kind: "number", low: 0, high: 0.9, allowed: "a fraction of the rows, from 0 to 0.9", defaultWords: "10 %, at least 8 rows from 24 on, at most 32 rows or groups of rows; none below ten rows" },
  evalSteps: { group: "usual", kind: "whole", low: 0, high: 10000000, unit: "steps", defaultWords: "about a quarter of the steps, aligned with checkpoints" },
  saveSteps: { group: "usual", kind: "whole", low: 0, high: 10000000, unit: "steps", defaultWords: "a quarter of the steps" },
  warmupRatio: { group: "schedule", kind: "number", low: 0, high: 1, allowed: "a fraction of the steps, from 0 to 1", defaultWords: "from warmup_steps", where: "the local backend" },
  lrNumCycles: { group: "schedule", kind: "whole", low: 1, high: 1000, default: 1, where: "the local backend" },
  lrPower: { group: "schedule", kind: "number", low: 0, high: 100, above: true, default: 1.0, where: "the local backend" },
  lrNumDecaySteps: { group: "schedule", kind: "whole", low: 1, high: 10000000, unit: "steps", defaultWords: "10 % of the steps", where: "the local backend" },
  optim: { group: "schedule", kind: "choice", choices: ["adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion"], default: "adamw" },
  weightDecay: { group: "schedule", kind: "number", low: 0, high: 1, default: 0.0 },
  adamBeta1: { group: "schedule", kind: "number", low: 0, high: 0.9999999, allowed: "a fraction from 0 to 0.9999999", default: 0.9, where: "the local backend" },
  adamBeta2: { group: "schedule", kind: "number", low: 0, high: 0.9999999, allowed: "a fraction from 0 to 0.9999999", default: 0.999, where: "the local backend" },
  adamEpsilon: { group: "schedule", kind: "number", low: 0, high: 1, above: true, default: 1e-08, where: "the local backend" },
  maxGradNorm: { group: "schedule", kind: "number", low: 0, high: 1000, default: 1.0, where: "the local backend" },
  fullFineTuning: { group: "adapter", kind: "flag", default: false, where: "the local backend" },
  loraTargetModules: { group: "adapter", kind: "list", low: 1, high: 200, of: {"kind": "text", "low": 1, "high": 200}, alone: ["all-linear"], allowed: "a name or a list of names, or \"all-linear\" alone", default: "all-linear", where: "the local backend" },
  loraLayersToTransform: { group: "adapter", kind: "list", low: 1, high: 1000, of: {"kind": "whole", "low": 0, "high": 10000}, allowed: "a whole number or a list of them", defaultWords: "all", where: "the local backend" },
  loraModulesToSave: { group: "adapter", kind: "list", low: 1, high: 200, of: {"kind": "text", "low": 1, "high": 200}, allowed: "a name or a list of names", defaultWords: "none", where: "the local backend" },
  loraDropout: { group: "adapter", kind: "number", low: 0, high: 0.9, allowed: "a fraction from 0 to 0.9", default: 0.0, where: "the local backend" },
  useRslora: { group: "adapter", kind: "flag", default: false, where: "the local backend" },
  useDora: { group: "adapter", kind: "flag", default: false, where: "the local backend" },
  initLoraWeights: { group: "adapter", kind: "choice", choices: ["default", "gaussian", "orthogonal", "pissa", "olora"], default: "default", where: "the local backend" },
  method: { group: "data", kind: "text", low: 1, high: 40, allowed: "a training method's name, 40 characters at most", default: "sft", where: "the local backend" },
  trainOnResponsesOnly: { group: "data", kind: "flag", default: true },
  completionOnlyLoss: { group: "data", kind: "flag", default: false, where: "the local backend" },
  enableThinking: { group: "data", kind: "flag", defaultWords: "the template's own", where: "the local backend" },
  packing: { group: "data", kind: "flag", default: false, where: "the local backend" },
  groupByLength: { group: "data", kind: "flag", default: false, where: "the local backend" },
  labelSmoothingFactor: { group: "data", kind: "number", low: 0, high: 0.9, allowed: "a fraction from 0 to 0.9", default: 0.0, where: "the local backend" },
  skipBadRows: { group: "data", kind: "flag", default: false, where: "the local backend" },
  beta: { group: "data", kind: "number", low: 0, high: 100, above: true, default: 0.1, where: "the local backend", methods: ["dpo", "cpo", "orpo", "kto", "grpo"], variants: {"grpo": {"kind": "number", "low": 0, "high": 100, "above": false, "default": 0.0, "help": "How strongly the adapter is kept near its start (KL divergence); 0 for not at all."}} },
  lossType: { group: "data", kind: "choice", choices: ["sigmoid", "hinge", "ipo", "apo_zero", "simpo"], default: "sigmoid", where: "the local backend", methods: ["dpo", "cpo", "grpo"], variants: {"grpo": {"kind": "choice", "above": false, "choices": ["dapo", "grpo", "bnpo", "dr_grpo"], "default": "dapo", "help": "The mean over all tokens (dapo), over answers (grpo) or over batches (bnpo), or the sum by the longest answer (dr_grpo)."}} },
  rpoAlpha: { group: "data", kind: "number", low: 0, high: 100, default: 0.0, where: "the local backend", methods: ["dpo"] },
  cpoAlpha: { group: "data", kind: "number", low: 0, high: 100, default: 1.0, where: "the local backend", methods: ["cpo"] },
  simpoGamma: { group: "data", kind: "number", low: 0, high: 100, default: 0.5, where: "the local backend", methods: ["cpo"] },
  desirableWeight: { group: "data", kind: "number", low: 0, high: 100, default: 1.0, where: "the local backend", methods: ["kto"] },
  undesirableWeight: { group: "data", kind: "number", low: 0, high: 100, default: 1.0, where: "the local backend", methods: ["kto"] },
  rewardFuncs: { group: "reward", kind: "list", low: 1, high: 10, of: {"kind": "text", "low": 1, "high": 60}, allowed: "a name or a list of up to 10", defaultWords: "every [[evaluation]] with a metric other than loss", where: "the local backend", methods: ["grpo"] },
  rewardWeights: { group: "reward", kind: "list", low: 1, high: 10, of: {"kind": "number", "low": -1000, "high": 1000}, allowed: "a number or a list of up to 10", defaultWords: "1 each", where: "the local backend", methods: ["grpo"] },
  numGenerations: { group: "reward", kind: "whole", low: 2, high: 128, unit: "answers", default: 8, where: "the local backend", methods: ["grpo"] },
  maxCompletionLength: { group: "reward", kind: "whole", low: 1, high: 32768, unit: "tokens", default: 256, where: "the local backend", methods: ["grpo"] },
  temperature: { group: "reward", kind: "number", low: 0, high: 10, above: true, default: 1.0, where: "the local backend", methods: ["grpo"] },
  scaleRewards: { group: "reward", kind: "choice", choices: ["group", "batch", "none"], default: "group", where: "the local backend", methods: ["grpo"] },
  numIterations: { group: "reward", kind: "whole", low: 1, high: 100, unit: "updates", default: 1, where: "the local backend", methods: ["grpo"] },
  epsilon: { group: "reward", kind: "number", low: 0, high: 1, above: true, default: 0.2, where: "the local backend", methods: ["grpo"] },
  loggingSteps: { group: "evaluation", kind: "whole", low: 1, high: 10000000, unit: "steps", defaultWords: "1/500 of the steps" },
  samples: { group: "evaluation", kind: "list", low: 1, high: 8, of: {"kind": "text", "low": 1, "high": 2000}, alone: ["off"], allowed: "a prompt or a list of up to 8, each one line of text, or \"off\" alone", defaultWords: "three held-out examples", where: "the local backend" },
  earlyStoppingPatience: { group: "evaluation", kind: "whole", low: 1, high: 1000, unit: "evaluations", defaultWords: "early stopping off; the final adapter is kept", where: "the local backend" },
  earlyStoppingThreshold: { group: "evaluation", kind: "number", low: 0, high: 100, default: 0.0, where: "the local backend" },
  verdictMargin: { group: "evaluation", kind: "number", low: 0, high: 10, unit: "nats", default: 0.01, where: "the local backend" },
  replay: { group: "data", kind: "number", low: 0, high: 0.5, default: 0.0, where: "the local backend", methods: ["sft"] },
  replayDataset: { group: "data", kind: "text", low: 1, high: 1000, allowed: "the path of a file or folder of the project, 1,000 characters at most", defaultWords: "the built-in prompts", where: "the local backend", methods: ["sft"] },
  baseKl: { group: "data", kind: "number", low: 0, high: 10, default: 0.0, where: "the local backend", methods: ["sft"] },
  saveTotalLimit: { group: "evaluation", kind: "whole", low: 1, high: 10000, unit: "checkpoints", defaultWords: "all", where: "the local backend" },
  onNonFinite: { group: "evaluation", kind: "choice", choices: ["stop", "lower_rate"], default: "stop", where: "the local backend" },
  loadIn4bit: { group: "precision", kind: "flag", default: false, where: "CUDA GPUs" },
  numberFormat: { group: "precision", kind: "choice", choices: ["auto", "float32", "bfloat16", "float16"], defaultWords: "the faster one, measured, on a CPU; bfloat16 on a GPU that supports it", where: "the local backend" },
  bf16: { group: "precision", kind: "flag", defaultWords: "from number_format", where: "the local backend" },
  fp16: { group: "precision", kind: "flag", defaultWords: "from number_format", where: "the local backend" },
  gradientCheckpointing: { group: "precision", kind: "flag", defaultWords: "on with load_in_4bit only", where: "the local backend" },
  activationOffloading: { group: "precision", kind: "flag", default: false, where: "CUDA GPUs" },
  seed: { group: "advanced", kind: "whole", low: 0, high: 4294967295, default: 42, where: "the local backend" },
  dataSeed: { group: "advanced", kind: "whole", low: 0, high: 4294967295, defaultWords: "seed", where: "the local backend" },
  splitSeed: { group: "advanced", kind: "whole", low: 0, high: 4294967295, defaultWords: "seed", where: "the local backend" },
  neftuneNoiseAlpha: { group: "advanced", kind: "number", low: 0, high: 1000, defaultWords: "none", where: "the local backend" },
  reportTo: { group: "advanced", kind: "list", low: 1, high: 4, of: {"kind": "choice", "choices": ["tensorboard", "trackio", "wandb", "mlflow"]}, allowed: "one or several of tensorboard, trackio, wandb, mlflow", defaultWords: "none", where: "the local backend" },
  pauseOnBattery: { group: "advanced", kind: "flag", default: false, where: "the local backend" },
  dryRun: { group: "advanced", kind: "flag", default: false },
  cpus: { group: "advanced", kind: "whole", low: 1, high: 1024, defaultWords: "one core, all threads", where: "the local backend, on a cluster" },
  gpus: { group: "advanced", kind: "whole", low: 0, high: 16, defaultWords: "one here, more if the model needs them; none on a cluster", where: "the local backend" },
  memory: { group: "advanced", kind: "number", low: 0, high: 100000, above: true, unit: "GiB", defaultWords: "no reservation", where: "the local backend, on a cluster" },
  workers: { group: "advanced", kind: "whole", low: 1, high: 64, defaultWords: "one", where: "the local backend" },
  gpuTypes: { group: "advanced", kind: "list", low: 1, high: 16, of: {"kind": "text", "low": 1, "high": 100}, allowed: "a GPU type or a list of up to 16", defaultWords: "the backend's choice", where: "the managed backend" },
};

/** `field`, where it says anything (null, false and 0 do not, nor does the default), wants of
 * `other` one of `allowed`, or none of `refused` (null: not set), or without either that it is
 * not set. `{field}` in the text is a setting. */
export interface Conflict {
  field: Setting["field"];
  other: Setting["field"];
  text: string;
  allowed?: readonly unknown[];
  refused?: readonly unknown[];
  unless?: Setting["field"];
}

export const CONFLICTS: readonly Conflict[] = [
  { field: "earlyStoppingThreshold", other: "earlyStoppingPatience", text: "{earlyStoppingThreshold} applies only with {earlyStoppingPatience}. Set that too", refused: [null] },
  { field: "warmupRatio", other: "warmupSteps", text: "{warmupRatio} and {warmupSteps} are both set. Remove one of the two" },
  { field: "bf16", other: "numberFormat", text: "{bf16} and {numberFormat} are both set. Remove one of the two" },
  { field: "fp16", other: "numberFormat", text: "{fp16} and {numberFormat} are both set. Remove one of the two" },
  { field: "fp16", other: "bf16", text: "{bf16} and {fp16} are both true. Choose one", refused: [true] },
  { field: "earlyStoppingPatience", other: "evalSteps", text: "{earlyStoppingPatience} requires evaluations, but {evalSteps} is 0. Set that above 0, or remove {earlyStoppingPatience}", refused: [0] },
  { field: "saveTotalLimit", other: "saveSteps", text: "{saveTotalLimit} requires checkpoints, but {saveSteps} is 0. Set that above 0, or remove {saveTotalLimit}", refused: [0] },
  { field: "lrNumCycles", other: "lrSchedulerType", text: "{lrNumCycles} applies only when {lrSchedulerType} is \"cosine_with_restarts\". Set that, or remove {lrNumCycles}", allowed: ["cosine_with_restarts"] },
  { field: "lrPower", other: "lrSchedulerType", text: "{lrPower} applies only when {lrSchedulerType} is \"polynomial\". Set that, or remove {lrPower}", allowed: ["polynomial"] },
  { field: "lrNumDecaySteps", other: "lrSchedulerType", text: "{lrNumDecaySteps} applies only when {lrSchedulerType} is \"wsd\". Set that, or remove {lrNumDecaySteps}", allowed: ["wsd"] },
  { field: "adamBeta1", other: "optim", text: "{adamBeta1} applies only when {optim} is \"adamw\" or \"adamw_torch\" or \"adamw_torch_fused\" or \"lion\". Set that, or remove {adamBeta1}", allowed: ["adamw", "adamw_torch", "adamw_torch_fused", "lion"] },
  { field: "adamBeta2", other: "optim", text: "{adamBeta2} applies only when {optim} is \"adamw\" or \"adamw_torch\" or \"adamw_torch_fused\" or \"lion\". Set that, or remove {adamBeta2}", allowed: ["adamw", "adamw_torch", "adamw_torch_fused", "lion"] },
  { field: "adamEpsilon", other: "optim", text: "{adamEpsilon} applies only when {optim} is \"adamw\" or \"adamw_torch\" or \"adamw_torch_fused\". Set that, or remove {adamEpsilon}", allowed: ["adamw", "adamw_torch", "adamw_torch_fused"] },
  { field: "loraR", other: "fullFineTuning", text: "{loraR} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "loraAlpha", other: "fullFineTuning", text: "{loraAlpha} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "loraTargetModules", other: "fullFineTuning", text: "{loraTargetModules} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "loraLayersToTransform", other: "fullFineTuning", text: "{loraLayersToTransform} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "loraModulesToSave", other: "fullFineTuning", text: "{loraModulesToSave} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "loraDropout", other: "fullFineTuning", text: "{loraDropout} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "useRslora", other: "fullFineTuning", text: "{useRslora} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "useDora", other: "fullFineTuning", text: "{useDora} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "initLoraWeights", other: "fullFineTuning", text: "{initLoraWeights} needs an adapter, but {fullFineTuning} trains without one. Remove one of the two", refused: [true] },
  { field: "beta", other: "method", text: "{beta} applies only when {method} is \"dpo\" or \"cpo\" or \"orpo\" or \"kto\" or \"grpo\". Set that, or remove {beta}", allowed: ["dpo", "cpo", "orpo", "kto", "grpo"] },
  { field: "lossType", other: "method", text: "{lossType} applies only when {method} is \"dpo\" or \"cpo\" or \"grpo\". Set that, or remove {lossType}", allowed: ["dpo", "cpo", "grpo"] },
  { field: "rpoAlpha", other: "method", text: "{rpoAlpha} applies only when {method} is \"dpo\". Set that, or remove {rpoAlpha}", allowed: ["dpo"] },
  { field: "cpoAlpha", other: "method", text: "{cpoAlpha} applies only when {method} is \"cpo\". Set that, or remove {cpoAlpha}", allowed: ["cpo"] },
  { field: "simpoGamma", other: "method", text: "{simpoGamma} applies only when {method} is \"cpo\". Set that, or remove {simpoGamma}", allowed: ["cpo"] },
  { field: "desirableWeight", other: "method", text: "{desirableWeight} applies only when {method} is \"kto\". Set that, or remove {desirableWeight}", allowed: ["kto"] },
  { field: "undesirableWeight", other: "method", text: "{undesirableWeight} applies only when {method} is \"kto\". Set that, or remove {undesirableWeight}", allowed: ["kto"] },
  { field: "rewardFuncs", other: "method", text: "{rewardFuncs} applies only when {method} is \"grpo\". Set that, or remove {rewardFuncs}", allowed: ["grpo"] },
  { field: "rewardWeights", other: "method", text: "{rewardWeights} applies only when {method} is \"grpo\". Set that, or remove {rewardWeights}", allowed: ["grpo"] },
  { field: "numGenerations", other: "method", text: "{numGenerations} applies only when {method} is \"grpo\". Set that, or remove {numGenerations}", allowed: ["grpo"] },
  { field: "maxCompletionLength", other: "method", text: "{maxCompletionLength} applies only when {method} is \"grpo\". Set that, or remove {maxCompletionLength}", allowed: ["grpo"] },
  { field: "temperature", other: "method", text: "{temperature} applies only when {method} is \"grpo\". Set that, or remove {temperature}", allowed: ["grpo"] },
  { field: "scaleRewards", other: "method", text: "{scaleRewards} applies only when {method} is \"grpo\". Set that, or remove {scaleRewards}", allowed: ["grpo"] },
  { field: "numIterations", other: "method", text: "{numIterations} applies only when {method} is \"grpo\". Set that, or remove {numIterations}", allowed: ["grpo"] },
  { field: "epsilon", other: "method", text: "{epsilon} applies only when {method} is \"grpo\". Set that, or remove {epsilon}", allowed: ["grpo"] },
  { field: "replay", other: "method", text: "{replay} applies only when {method} is \"sft\". Set that, or remove {replay}", allowed: ["sft"] },
  { field: "replayDataset", other: "method", text: "{replayDataset} applies only when {method} is \"sft\". Set that, or remove {replayDataset}", allowed: ["sft"] },
  { field: "baseKl", other: "method", text: "{baseKl} applies only when {method} is \"sft\". Set that, or remove {baseKl}", allowed: ["sft"] },
  { field: "loadIn4bit", other: "fullFineTuning", text: "{fullFineTuning} needs unquantized weights, which {loadIn4bit} doesn't load. Choose one", refused: [true] },
  { field: "replayDataset", other: "replay", text: "{replayDataset} requires {replay} or {baseKl} above 0. Set one of them, or remove {replayDataset}", refused: [0], unless: "baseKl" },
  { field: "baseKl", other: "fullFineTuning", text: "{baseKl} compares with the base under the adapter, which {fullFineTuning} changes. Use replay instead, or remove one of the two", refused: [true] },
  { field: "baseKl", other: "initLoraWeights", text: "{baseKl} compares with the base under the adapter, which pissa and olora in {initLoraWeights} change. Use replay instead, or remove one of the two", refused: ["pissa", "olora"] },
  { field: "completionOnlyLoss", other: "trainOnResponsesOnly", text: "{completionOnlyLoss} limits the loss to the last answer, {trainOnResponsesOnly} = false extends it to all tokens. Choose one", refused: [false] },
  { field: "useDora", other: "initLoraWeights", text: "{useDora} can't be combined with pissa or olora in {initLoraWeights}. Choose one", refused: ["pissa", "olora"] },
  { field: "loadIn4bit", other: "initLoraWeights", text: "pissa and olora in {initLoraWeights} need unquantized weights. Remove {loadIn4bit}", refused: ["pissa", "olora"] },
];

/** The fields of settings that can change while a job continues. */
export const ADJUSTABLE: ReadonlySet<string> = new Set(["maxSteps", "numTrainEpochs", "learningRate", "lrSchedulerType", "warmupSteps", "evalSteps", "saveSteps", "warmupRatio", "lrNumCycles", "lrPower", "lrNumDecaySteps", "maxGradNorm", "loggingSteps", "verdictMargin", "saveTotalLimit", "onNonFinite", "pauseOnBattery"]);

/** Every setting, in reading order. */
export const FORM: readonly FormSetting[] = SETTINGS.map((shown) => ({
  ...shown,
  help: HELP.get(shown.field) ?? "",
  ...RULES[shown.field],
}));
