// Generated from arkor_dev/contract by scripts/generate.py. Not edited by hand.

export const STUDIO_TOKEN_HEADER = "X-Arkor-Studio-Token";

export const STALE_HEADER = "X-Arkor-Stale";

export const STALE_WHY_HEADER = "X-Arkor-Stale-Why";

export const STALE_STATUS_HEADER = "X-Arkor-Stale-Status";

export const CURSOR_HEADER = "X-Arkor-Cursor";

export const FROM_HEADER = "X-Arkor-From";

export const REQUESTS_HEADER = "X-Arkor-Start-Requests";

export type JobStatus = "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";

export const TERMINAL: ReadonlySet<string> = new Set(["cancelled", "completed", "failed"]);

/** Source of the rows; only the local backend knows `file` (or a folder) and `list`. */
export interface DatasetSource {
  type: "huggingface" | "blob" | "file" | "list";
  name?: string;
  split?: string;
  subset?: string;
  url?: string;
  token?: string;
  path?: string;
  sources?: DatasetSource[];
  form?: string;
  columns?: Record<string, string>;
  group?: string;
  exclude?: string[];
  only?: "accepted" | "all";
  reviewed?: number;
  weight?: number;
}

/** A model that scores answers by a rubric: the address `teacher` of a server with OpenAI's API. */
export interface Judge {
  teacher: string;
  model: string;
  keyEnv?: string;
  budgetRequests?: number;
  budgetTokens?: number;
}

/** A custom evaluation set: the rows of `path`, a file or folder of the project. */
export interface EvaluationSet {
  name: string;
  path: string;
  metric?: string;
  pattern?: string;
  schema?: unknown;
  rubric?: string;
  range?: number[];
  judge?: Judge;
}

/** Settings that were changed after `step` of a job that continued: `[old, new]` by field. */
export interface Adjustment {
  step: number;
  settings: Record<string, unknown[]>;
}

/** An earlier job of one that deletes rows: its `rows` that were left out already, by their places. */
export interface Forgotten {
  job: string;
  name: string;
  rows: string[];
  weights: string | null;
}

/** Where rows are, and the `hash` of all rows of the original job. */
export interface LeftOut {
  rows: string[];
  hash: string;
}

/** A job's request: its data, and settings of `contract/settings/` by field. */
export interface JobConfig {
  model: string;
  datasetSource: DatasetSource;
  evalDatasetSource?: DatasetSource;
  evaluations?: EvaluationSet[];
  datasetFormat?: unknown;
  setByHand?: string[];
  adjusted?: Adjustment[];
  leftOut?: LeftOut;
  forgets?: Forgotten[];
  cluster?: string;
  insecureCluster?: boolean;
  storage?: string;
  reported?: boolean;
  maxSteps?: number;
  numTrainEpochs?: number;
  batchSize?: number;
  gradientAccumulationSteps?: number;
  learningRate?: number;
  lrSchedulerType?: string;
  warmupSteps?: number;
  loraR?: number;
  loraAlpha?: number;
  maxLength?: number;
  datasetSplit?: number;
  evalSteps?: number;
  saveSteps?: number;
  warmupRatio?: number;
  lrNumCycles?: number;
  lrPower?: number;
  lrNumDecaySteps?: number;
  optim?: string;
  weightDecay?: number;
  adamBeta1?: number;
  adamBeta2?: number;
  adamEpsilon?: number;
  maxGradNorm?: number;
  fullFineTuning?: boolean;
  loraTargetModules?: string | string[];
  loraLayersToTransform?: number | number[];
  loraModulesToSave?: string | string[];
  loraDropout?: number;
  useRslora?: boolean;
  useDora?: boolean;
  initLoraWeights?: string;
  method?: string;
  trainOnResponsesOnly?: boolean;
  completionOnlyLoss?: boolean;
  enableThinking?: boolean;
  thoughtWeight?: number;
  answerWeight?: number;
  trainOnEmptyThoughts?: boolean;
  packing?: boolean;
  groupByLength?: boolean;
  labelSmoothingFactor?: number;
  skipBadRows?: boolean;
  beta?: number;
  lossType?: string;
  rpoAlpha?: number;
  cpoAlpha?: number;
  simpoGamma?: number;
  desirableWeight?: number;
  undesirableWeight?: number;
  rewardFuncs?: string | string[];
  rewardWeights?: number | number[];
  environment?: string;
  maxTurns?: number;
  maxEpisodeTokens?: number;
  numGenerations?: number;
  maxCompletionLength?: number;
  temperature?: number;
  scaleRewards?: string;
  numIterations?: number;
  epsilon?: number;
  epsilonHigh?: number;
  importanceSamplingLevel?: string;
  maskTruncatedCompletions?: boolean;
  softPunishCache?: number;
  maxResampleTimes?: number;
  teacher?: string;
  lmbda?: number;
  seqKd?: boolean;
  distillationTopk?: number;
  distillationAddTail?: boolean;
  teacherModelKind?: string;
  teacherUpdateRate?: number;
  teacherSyncSteps?: number;
  classWeight?: string | string[];
  loss?: string;
  scale?: number;
  matryoshkaDims?: number | number[];
  poolingMode?: string;
  queryPrompt?: string;
  documentPrompt?: string;
  corpus?: string;
  loggingSteps?: number;
  samples?: string | string[];
  earlyStoppingPatience?: number;
  earlyStoppingThreshold?: number;
  stopWhen?: string;
  verdictMargin?: number;
  replay?: number;
  replayDataset?: string;
  baseKl?: number;
  maxHarm?: number;
  saveTotalLimit?: number;
  onNonFinite?: string;
  loadIn4bit?: boolean;
  numberFormat?: string;
  bf16?: boolean;
  fp16?: boolean;
  gradientCheckpointing?: boolean;
  offload?: string;
  activationOffloading?: boolean;
  seed?: number;
  dataSeed?: number;
  splitSeed?: number;
  neftuneNoiseAlpha?: number;
  reportTo?: string | string[];
  pauseOnBattery?: boolean;
  dryRun?: boolean;
  cpus?: number;
  gpus?: number;
  memory?: number;
  workers?: number;
  gpuTypes?: string | string[];
}

/** A job's progress. The local backend adds it to each job; others may not. */
export interface JobMetrics {
  step?: number;
  totalSteps?: number;
  loss?: number | null;
  evalLoss?: number | null;
  bestEvalLoss?: number | null;
  peakBytes?: number;
  gpuPeakBytes?: number[];
}

/** The job that a queued one waits for. */
export interface QueuedBehind {
  id: string;
  name: string;
}

/** Queue position of a job: `position` 1 starts next, unless the queue is `held`. */
export interface QueuePlace {
  position: number;
  behind: QueuedBehind | null;
  held?: boolean;
  reason?: string;
}

/** The phase of a running job, as in `training.phase`, and its start. */
export interface JobPhase {
  name: string;
  since: string;
  secondsLeft?: number;
  estimatedAt?: string;
}

/** A trial's mean `loss` after `step`, on the half of the held-out rows that is used for selection. */
export interface SweepResult {
  step: number;
  loss: number;
  at: string;
}

/** One run of a sweep. `settings` are those that differ from the sweep's config, by field. */
export interface SweepTrial {
  number: number;
  role: "search" | "winner" | "start";
  settings: Record<string, unknown>;
  sources?: number[];
  jobId: string;
  results: SweepResult[];
  seed?: number;
  error?: string;
  underWay?: boolean;
}

/** Whether the best trial is better than the starting settings, on rows that took no part in the choice. */
export interface SweepVerdict {
  verdict: "better" | "none" | "effects";
  sentence: string;
  rows?: number;
  groups?: number;
  seeds?: number;
  start?: number;
  winner?: number;
  difference?: EvaluationDifference;
  margin?: number;
  trial?: number;
  settings?: Record<string, unknown>;
}

/** How much a setting mattered, as a share of all; `low` and `high` bound the middle 90 %. */
export interface SweepImportance {
  setting: string;
  mean: number;
  low: number;
  high: number;
}

/** What source number `source`, from 0, of a data set does: `helps`, `harms` or `unclear`. */
export interface SourceEffect {
  source: number;
  name: string;
  effect: "helps" | "harms" | "unclear";
  task: EvaluationDifference;
  general?: EvaluationDifference;
  weight: number;
  proposed: number;
}

/** A range of a setting's values, both ends included; `log`: it is searched on a logarithmic scale. */
export interface ValueRange {
  low: number;
  high: number;
  log?: boolean;
}

/** The estimated number of trials, and the estimated end of the sweep once a job of it was timed. */
export interface SweepPlan {
  trials: number;
  endsAt?: string;
}

/** A search for better settings: feature `sweeps`. */
export interface Sweep {
  id: string;
  name: string;
  state: "running" | "completed" | "stopped" | "failed";
  createdAt: string;
  config: JobConfig;
  space: Record<string, unknown[] | ValueRange>;
  trials: SweepTrial[];
  deadline?: string;
  jobs?: number;
  endedAt?: string;
  error?: string;
  held?: string;
  rungs?: number[];
  plan?: SweepPlan;
  best?: number;
  measure?: EvaluationMeasure;
  importances?: SweepImportance[];
  runs?: number;
  effects?: SourceEffect[];
  verdict?: SweepVerdict;
}

/** The sweep that a job is part of, and the number of its trial: feature `sweeps`. */
export interface JobSweep {
  id: string;
  name: string;
  trial: number;
}

/** One training job. Times are ISO 8601 in UTC; `queue` is present while it waits, if known. */
export interface Job {
  id: string;
  orgId: string;
  projectId: string;
  name: string;
  status: JobStatus;
  config: JobConfig;
  createdAt: string;
  startedAt?: string | null;
  completedAt?: string | null;
  error?: string | null;
  settings?: Record<string, unknown>;
  metrics?: JobMetrics;
  queue?: QueuePlace;
  notes?: string;
  tags?: string[];
  starred?: boolean;
  forecast?: Forecast;
  pause?: JobPause;
  phase?: JobPhase;
  resumable?: number;
  parent?: JobParent;
  sweep?: JobSweep;
  evaluation?: Evaluation;
  evaluating?: JobEvaluating;
}

/** A set of files that a job produced; `kind` is `adapter`, `model` or `checkpoint`. */
export interface Artifact {
  kind: string;
  name?: string;
  step?: number;
  bytes?: number;
  path?: string;
}

/** One turn of a conversation. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  tool_calls?: unknown[];
  tool_call_id?: string;
}

/** A trained adapter: a job's final one, or the checkpoint of a step. */
export interface AdapterRef {
  kind: "final" | "checkpoint";
  jobId: string;
  step?: number;
}

/** `adapter` or `baseModel` selects the model; `stream` defaults to true. */
export interface ChatRequest {
  messages: ChatMessage[];
  adapter?: AdapterRef;
  adapterStrength?: number;
  baseModel?: string;
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  topK?: number;
  minP?: number;
  repetitionPenalty?: number;
  frequencyPenalty?: number;
  presencePenalty?: number;
  seed?: number;
  stop?: string[];
  logprobs?: boolean;
  topLogprobs?: number;
  enableThinking?: boolean;
  thinkingBudget?: number;
  stream?: boolean;
  tools?: unknown[];
  toolChoice?: unknown;
  parallelToolCalls?: boolean;
  responseFormat?: unknown;
  structuredOutputs?: unknown;
  engine?: "auto" | "exact" | "llama.cpp";
}

/** `GET /api/credentials`: who is signed in; `token` is a masked preview. */
export interface CredentialsView {
  mode: string;
  orgSlug: string | null;
  projectSlug: string | null;
  baseUrl: string;
  token: string;
  signIn?: string;
}

/** A data file whose columns match no known form of rows. */
export interface UnmappedColumns {
  part: number;
  file: string;
  columns: string[];
  rows: (Record<string, string>)[];
  suggested?: Record<string, string>;
}

/** A trainer of the project, with the settings shown before Run. */
export interface Trainer {
  name: string;
  config?: JobConfig;
  rows?: number;
  unreadable?: number;
  problem?: string;
  needsData?: boolean;
  install?: string;
  flaw?: string;
  unmapped?: UnmappedColumns;
}

/** The only trainer of a TypeScript project, or the first of `arkor.toml`. */
export interface TrainerName {
  name: string;
}

/** `[sweep]` of arkor.toml: `space` by field, and the rest as it is written there. */
export interface ManifestSweep {
  trainer?: string;
  until?: string;
  hours?: number;
  jobs?: number;
  space?: Record<string, unknown>;
}

/** `GET /api/manifest`. `revision` identifies the state of the source files. */
export interface Manifest {
  trainer: TrainerName | null;
  trainers: Trainer[];
  source?: "arkor.toml" | "typescript";
  revision?: string;
  sweep?: ManifestSweep;
}

/** What a project's `[notify]` does that nobody has agreed to yet; `mark` identifies its content. */
export interface NoticeConsent {
  mark: string;
  does: string[];
}

/** `POST /api/manifest/settings`: the unified diff, and the file's new revision once written. */
export interface SettingsWritten {
  diff: string;
  revision: string;
}

/** `GET /api/capabilities`: the optional features that the backend names. */
export interface Capabilities {
  features: string[];
  baseModels?: string[];
  methods?: TrainingMethod[];
}

/** A training method: its `name` in a config, and its `label` for the user. */
export interface TrainingMethod {
  name: string;
  label: string;
  preference?: "pair" | "rating";
}

/** `POST /api/train`. An outdated `revision` starts nothing (409). */
export interface TrainRequest {
  file?: string;
  trainer?: string;
  dryRun?: boolean;
  revision?: string;
  settings?: Record<string, unknown>;
  like?: string;
  seeds?: number;
  data?: string[];
  parent?: RequestedParent;
  on?: string;
}

/** A child process that this launch of Studio started (`GET /api/train`). */
export interface TrainingRun {
  id: string;
  command: string[];
  trainer: string | null;
  file: string | null;
  dryRun: boolean;
  started: string;
  ended: string | null;
  state: "running" | "stopping" | "ended";
  exitCode: number | null;
  jobId: string | null;
}

export const CANCELLED_ERROR = "Job cancelled";

export const DIVERGING = "diverging";

/** Step and reason of a pause; the fields are those of `training.paused`. */
export interface JobPause {
  step: number;
  reason: string;
  message?: string;
  needs?: number;
}

/** The checkpoint from which a job started: after `step` of another job, which may be deleted by now. */
export interface JobParent {
  jobId: string;
  step: number;
  name?: string;
}

/** The job to start from: after `step`, or from its final adapter. */
export interface RequestedParent {
  jobId: string;
  step?: number;
}

/** Base loss minus adapter loss, mean per token, with its interval: above zero the adapter is better. */
export interface EvaluationDifference {
  mean: number;
  low: number;
  high: number;
}

/** Statistics of a model's answers: mean length in `tokens`, shares truncated, repetitive, refusing. */
export interface AnswerRates {
  tokens: number;
  truncated: number;
  repeating: number;
  refusing: number;
}

/** Greedy answers of base and adapter to `count` general questions, of at most `longest` tokens. */
export interface EvaluationAnswers {
  count: number;
  longest: number;
  base: AnswerRates;
  adapter: AnswerRates;
  sentence: string;
}

/** Base and adapter compared on one set of `rows`. */
export interface EvaluationPart {
  name: string;
  rows: number;
  base: number;
  adapter: number;
  difference: EvaluationDifference;
  confidence: number;
  verdict: string;
  sentence: string;
  rowsToSettle?: number;
  tooFew?: boolean;
  of?: number;
  metric?: string;
  answers?: EvaluationAnswers;
  measure?: EvaluationMeasure;
  preferred?: EvaluationPreferred;
  classified?: EvaluationClassified;
  retrieved?: EvaluationRetrieved;
  reranked?: EvaluationReranked;
}

/** How well an embedder and its base find the right ones among `documents`: means over rows, of which `queries` are distinct. */
export interface EvaluationRetrieved {
  queries: number;
  documents: number;
  mrr: EvaluationBoth;
  recall: EvaluationRecall[];
}

/** A reranker's order of each query's documents, beside that of the rows (`base`): `mrr` as in :class:`EvaluationRetrieved`. */
export interface EvaluationReranked {
  queries: number;
  mrr: EvaluationBoth;
}

/** One figure of `base` and `adapter`. */
export interface EvaluationBoth {
  base: number;
  adapter: number;
}

/** The share of right documents among the first `k`. */
export interface EvaluationRecall {
  k: number;
  base: number;
  adapter: number;
}

/** A classifier's results on held-out rows, beside always answering `majority`, the label with the most training rows: the base has no classifier to compare with. */
export interface EvaluationClassified {
  majority: string;
  accuracy: EvaluationShare;
  majorityAccuracy: number;
  macroF1: EvaluationShare;
  microF1?: EvaluationShare;
  majorityMacroF1: number;
  labels: number;
  confusion: EvaluationConfusion[];
  baselines: EvaluationBaseline[];
  sentences: string[];
  calibration?: EvaluationCalibration;
}

/** `POST /v1/inference/classify`: the probability of each of `labels`, after calibration. */
export interface ClassifiedText {
  labels: string[];
  probabilities: number[];
}

/** The number of a text in the request, from 0, and its `score`: by an embedder its cosine with the query, from -1 to 1; by a reranker its relevance, from 0 to 1. */
export interface FoundText {
  index: number;
  score: number;
}

/** `POST /v1/inference/search`: up to 50 of the texts, the best first. */
export interface SearchResult {
  results: FoundText[];
}

/** Another way to label held-out rows: `zeroShot` is the label that the base finds most likely after a prompt with the text, `tfidf` a logistic regression on TF-IDF features. */
export interface EvaluationBaseline {
  kind: "zeroShot" | "tfidf";
  rows: number;
  accuracy: number;
  classifier: number;
  difference: EvaluationDifference;
  confidence: number;
  verdict: string;
}

/** The `temperature` by which a classifier's logits are divided, with the expected calibration error and the log loss of the held-out rows with it (by cross-fitting) and before. */
export interface EvaluationCalibration {
  temperature: number;
  errorBefore: number;
  error: number;
  logLossBefore: number;
  logLoss: number;
}

/** The number of `rows` with this `label` for which another one, or the same, was `predicted`. */
export interface EvaluationConfusion {
  label: string;
  predicted: string;
  rows: number;
}

/** Preferences that the adapter follows more than its start: `won` `of` the independent held-out ones. */
export interface EvaluationPreferred {
  kind: string;
  won: number;
  of: number;
  low: number;
  high: number;
  equalLength?: EvaluationShare;
}

/** A share between 0 and 1, with its interval. */
export interface EvaluationShare {
  share: number;
  low: number;
  high: number;
}

/** What base and adapter are measured by: a display `label`, and the `unit` of the values. */
export interface EvaluationMeasure {
  label: string;
  unit: string;
  higher?: boolean;
  rate?: boolean;
}

/** Why a better result may not be one, with answers of both as examples. */
export interface EvaluationWarning {
  sentence: string;
  examples: EvaluationAnswer[];
}

/** How likely `base` and `adapter` stop where an answer is complete: geometric means of probabilities. */
export interface EvaluationStopping {
  base: number;
  adapter: number;
  rows: number;
  ended: number;
  sentence: string;
  cause?: string;
}

/** A share or a mean length of `count` answers of each model; `low` and `high` bound the difference `adapter` - `base`. */
export interface EvaluationRate {
  base: number;
  adapter: number;
  low: number;
  high: number;
  count: number;
}

/** The share of answers with thoughts, with `enable_thinking` `on` and `off`, by base and adapter. */
export interface EvaluationThinking {
  on: EvaluationRate;
  off: EvaluationRate;
  tokens: EvaluationRate;
  ended?: EvaluationRate;
  longest: number;
  confidence: number;
  sentence: string;
}

/** How the held-out rows were separated from the training rows. */
export interface EvaluationSplit {
  rows: number;
  groups: number;
  column?: string;
  leftOut?: number;
  trainedOn?: number;
  notCompared?: boolean;
  sentence: string;
}

/** How the adapter was chosen from a run's `evaluations`: by early stopping, or as a checkpoint. */
export interface EvaluationChoice {
  evaluations: number;
  chose: number;
  judged: number;
  sentence: string;
}

/** The run could end at any of its `planned` evaluations (`stopWhen`), or it is a checkpoint's. */
export interface EvaluationWatched {
  number: number;
  planned: number;
  sentence: string;
}

/** How the step and the strength of the final adapter were chosen by `maxHarm`, in nats per token. */
export interface EvaluationBudget {
  maxHarm: number;
  kept: boolean;
  strength: number;
  step?: number;
  steps?: number;
  harm: number;
  most?: number;
  questions: number;
  cost?: EvaluationDifference;
  divergence?: number;
  sentence: string;
}

/** An adapter's mean losses on the rows of its verdict at a `strength` between 0 (its base) and 1. */
export interface EvaluationStrength {
  strength: number;
  heldOut: number;
  general: number;
}

/** `evaluation.completed`, and `evaluation` of a job: how an adapter compares with its base. */
export interface Evaluation {
  verdict: string;
  sentence: string;
  margin?: number;
  noiseFloor?: number;
  split?: EvaluationSplit;
  choice?: EvaluationChoice;
  watched?: EvaluationWatched;
  heldOut?: EvaluationPart;
  general?: EvaluationPart;
  sets?: EvaluationPart[];
  stopping?: EvaluationStopping;
  thinking?: EvaluationThinking;
  strengths?: EvaluationStrength[];
  budget?: EvaluationBudget;
  warning?: EvaluationWarning;
  bestStep?: number;
  bestSentence?: string;
  bestVerdict?: string;
  bestKept?: boolean;
  extendTo?: number;
  step?: number;
  data?: string;
  seconds?: number;
}

/** One held-out row: its mean losses per token over `tokens` learned tokens, prompt and wanted answer. */
export interface EvaluationRow {
  row: number;
  where?: string;
  group?: number;
  tokens: number;
  base: number;
  adapter: number;
  question: string;
  wanted: string;
  messages?: ChatMessage[];
  baseAnswer?: string;
  adapterAnswer?: string;
  confidence?: number;
  chose?: boolean;
}

/** Answers of base and adapter to a general question; a truncated answer is marked. */
export interface EvaluationAnswer {
  question: string;
  base: string;
  adapter: string;
}

/** `GET /v1/jobs/:id/evaluation`; of very many rows, those that changed most. */
export interface EvaluationResult {
  evaluation: Evaluation;
  rows: EvaluationRow[];
  answers?: EvaluationAnswer[];
}

/** `GET /v1/jobs/:id/evaluation?against=`: this adapter as `adapter`, the other one as `base`. */
export interface EvaluationComparison {
  comparison: EvaluationPart;
}

/** How far a piece of work has come; `total` is null while unknown. */
export interface Progress {
  label: string;
  done: number;
  total: number | null;
  unit: string;
}

/** A requested evaluation that is not done: waiting for training to end, running, or failed. */
export interface JobEvaluating {
  state: "waiting" | "running" | "failed";
  step?: number;
  data?: string;
  progress?: Progress;
  error?: string;
}

/** `POST /v1/jobs/:id/votes`: a blind preference between two answers. */
export interface Ballot {
  voter: string;
  one: string;
  other: string;
  choice: "one" | "other" | "tie";
  left: "one" | "other";
  question: string;
}

/** A stored ballot; `at` is ISO 8601 in UTC. */
export interface Vote extends Ballot {
  id: string;
  at: string;
}

/** `GET /v1/jobs/:id/votes`, in chronological order. */
export interface Votes {
  votes: Vote[];
}

/** Memory of the training process or its device, in bytes; null if the system does not report it. */
export interface ForecastMemory {
  name?: string;
  peakBytes: number;
  freeBytes: number | null;
  totalBytes: number | null;
}

/** Memory of one of the GPUs over which a model is spread, in bytes. */
export interface ForecastGpu {
  peakBytes: number;
  totalBytes: number;
}

/** Settings, by field, with which a job would fit; `words` describes them, `peakBytes` is the peak. */
export interface ForecastFix {
  settings: Record<string, unknown>;
  words: string;
  peakBytes?: number;
}

/** A job fits because the layers of its model are read from their files as they are used. */
export interface ForecastStreaming {
  slower?: number;
}

/** Estimated time and memory of a job: docs/contract.md#forecasts. */
export interface Forecast {
  id?: string;
  state?: "measured" | "measuring" | "waiting" | "failed";
  progress?: Progress;
  error?: string;
  seconds?: number;
  loadingSeconds?: number;
  trainingSeconds?: number;
  evaluationSeconds?: number;
  savingSeconds?: number;
  samplesSeconds?: number;
  steps?: number;
  memory?: ForecastMemory;
  device?: ForecastMemory;
  gpus?: ForecastGpu[];
  streaming?: ForecastStreaming;
  rows?: number;
  lookedAtRows?: number;
  cutRows?: number;
  tokens?: number;
  learnedTokens?: number;
  diskBytes?: number;
  freeDiskBytes?: number | null;
  checkpoints?: number;
  notes?: string[];
  fits?: boolean;
  fixes?: ForecastFix[];
}

export type AuthMode = "none" | "fixed_api_key";

export type EngineName = "auto" | "exact" | "llama.cpp";

/** What a deployment serves. */
export interface DeploymentTarget {
  kind: "adapter" | "base_model";
  adapter?: AdapterRef;
  baseModel?: string;
}

/** What computes answers: a library, the precision of its weights, and a short name for both. */
export interface AnsweredBy {
  engine: string;
  precision: string;
  weights?: string;
  why?: string;
}

/** An OpenAI-compatible endpoint. */
export interface Deployment {
  id: string;
  slug: string;
  orgId: string;
  projectId: string;
  target: DeploymentTarget;
  authMode: AuthMode;
  urlFormat: string;
  enabled: boolean;
  customDomain?: string | null;
  runRetentionMode?: string | null;
  runRetentionDays?: number | null;
  expiresAt?: string | null;
  createdAt: string;
  updatedAt: string;
  engine?: EngineName;
  answeredBy?: AnsweredBy | null;
  trouble?: string;
}

/** An API key of a deployment; `plaintext` is only in the response to its creation. */
export interface DeploymentKey {
  id: string;
  label: string;
  prefix: string;
  enabled: boolean;
  createdAt: string;
  lastUsedAt: string | null;
  plaintext?: string;
}

/** `PATCH /v1/jobs/:id`: any of a job's details. `notes` is Markdown. Feature `edit`. */
export interface JobChanges {
  name?: string;
  notes?: string;
  tags?: string[];
  starred?: boolean;
}

/** The waiting jobs, next one first; while `held`, none of them starts. Feature `queue`. */
export interface Queue {
  held: boolean;
  order: string[];
}

/** `PATCH /v1/queue`: jobs missing from `order` keep their order behind the listed ones. */
export interface QueueChanges {
  order?: string[];
  held?: boolean;
}

/** `GET /v1/jobs/:id/card`: the model card (`README.md`) of a job's result. Feature `card`. */
export interface ModelCard {
  card: string;
}

/** Disk usage of a job's files, in bytes. */
export interface JobOnDisk {
  id: string;
  name: string;
  bytes: number;
}

/** Disk usage of a base model, in bytes. */
export interface ModelOnDisk {
  name: string;
  bytes: number;
  used?: boolean;
  shared?: boolean;
}

/** `GET /v1/disk`, in bytes: usage of each job and base model. Feature `delete`. */
export interface Disk {
  jobs: JobOnDisk[];
  models: ModelOnDisk[];
  leftovers: number;
  embeddings?: number;
  database: number;
  free: number;
  unused?: number;
}

/** One file of an export; `sha256` in hexadecimal. */
export interface ExportFile {
  name: string;
  bytes: number;
  sha256: string;
}

/** How an exported model compares with the trained one and the base: docs/contract.md#exports. */
export interface ExportProof {
  verdict: string;
  sentence: string;
  faults: string[];
  texts: number;
  allowed: Record<string, number>;
  prompts?: number;
  agreeingTokens?: number;
  answerTokens?: number;
  tokens?: number;
  firstChoices?: number;
  sureChoices?: number;
  divergence?: number;
  divergenceOfBase?: number;
  loss?: Record<string, number>;
  distance?: number;
  distanceOfBase?: number;
}

/** How far an export has come; `secondsLeft` is the remaining time of its `label`, once known. */
export interface ExportProgress extends Progress {
  secondsLeft?: number;
}

/** A job's result in a format for other programs. */
export interface Export {
  id: string;
  format: string;
  state: "waiting" | "running" | "verifying" | "completed" | "failed";
  createdAt: string;
  step?: number;
  quantization?: string;
  strength?: number;
  progress?: ExportProgress;
  error?: string;
  bytes?: number;
  files?: ExportFile[];
  proof?: ExportProof;
  usage?: (string[])[];
  hubUsage?: (string[])[];
}

/** A run that a program wants to start, such as an assistant through `arkor-dev mcp`. */
export interface StartRequest {
  id: string;
  client: string;
  name: string;
  model: string;
  data: string;
  changes: (string[])[];
  dryRun: boolean;
  expiresAt: number;
}

/** What would be installed where: `folder`, its disk's `free` bytes, and PyTorch's version. */
export interface EnginePlan {
  folder: string;
  free: number;
  pytorch: string | null;
  fetch: number | null;
  disk: number | null;
  words: string[];
}

/** An installation so far: `fetched` and `unpacked` are bytes, `now` is its current activity. */
export interface EngineProgress {
  seconds: number;
  fetched: number;
  unpacked: number;
  now: string;
}

/** The engine for training on this machine. */
export interface EngineSetup {
  state: "missing" | "looking" | "planned" | "installing" | "installed" | "failed";
  next: string | null;
  plan: EnginePlan | null;
  progress: EngineProgress | null;
  error: string | null;
}

export const TRAINING_STARTED = "training.started";

export const TRAINING_PHASE = "training.phase";

export const TRAINING_LOG = "training.log";

export const TRAINING_MESSAGE = "training.message";

export const TRAINING_PAUSED = "training.paused";

export const TRAINING_RESUMED = "training.resumed";

export const TRAINING_COMPLETED = "training.completed";

export const TRAINING_FAILED = "training.failed";

export const TRAINING_CANCELLED = "training.cancelled";

export const CHECKPOINT_SAVED = "checkpoint.saved";

export const CHECKPOINT_REMOVED = "checkpoint.removed";

export const MODEL_PROGRESS = "model.progress";

export const EVALUATION_COMPLETED = "evaluation.completed";

export const SAMPLE_CREATED = "sample.created";

export const ROLLOUTS_CREATED = "rollouts.created";

export const SYSTEM_METRICS = "system.metrics";

export const PING = "ping";

export const END = "end";

export const STREAM_CONNECTED = "connected";

export const STREAM_RECONNECTING = "reconnecting";

export const CHAT_PROGRESS = "progress";

export const CHAT_ERROR = "error";

export const CHAT_DONE = "[DONE]";

/** Fields of every job event; the local backend adds them when it stores one. */
export interface AnyEvent {
  jobId?: string;
  timestamp?: string;
}

/** Totals of a run; null for what was not measured. */
export interface RunMetrics {
  loss?: number | null;
  evalLoss?: number | null;
  bestEvalLoss?: number | null;
  steps?: number;
  seconds?: number;
  secondsIn?: Record<string, number>;
  peakBytes?: number;
  gpuPeakBytes?: number[];
}

/** A figure that the training method adds to `training.log`. */
export interface Figure {
  name: string;
  label: string;
  unit: string;
}

/** A tool call, its `arguments` as JSON text, and what the tool said; `error`: it was called wrongly. */
export interface RolloutCall {
  name: string;
  arguments: string;
  result: string;
  error?: boolean;
}

/** An answer in an episode without its calls, shortened to its beginning, and its `calls`. */
export interface RolloutTurn {
  answer: string;
  calls: RolloutCall[];
}

/** An answer that the model sampled during training by rewards, shortened to its beginning. */
export interface Rollout {
  where: string;
  prompt: string;
  answer: string;
  reward: number;
  rewards: Record<string, number>;
  truncated?: boolean;
  turns?: RolloutTurn[];
  omitted?: number;
  failure?: string;
}

/** Progress of a preparation, in `unit`; `total` is null while unknown. From the local backend. */
export interface ModelProgress extends AnyEvent {
  type: "model.progress";
  label: string;
  done: number;
  total: number | null;
  unit: string;
}

/** The stream is over: close it, and do not reconnect. From the backend's stream, without an id. */
export interface End extends AnyEvent {
  type: "end";
}

/** A row of a finding: its number from 1, its location for the user, and an excerpt. */
export interface FindingRow {
  row: number;
  where: string;
  excerpt: string;
}

/** A problem or an oddity in the rows of a data set. */
export interface Finding {
  code: string;
  level: "error" | "warning" | "note";
  title: string;
  why: string;
  fix: string;
  count: number;
  rows: FindingRow[];
}

/** A file of a data set and its detected form, such as `ShareGPT, JSON Lines, gzip`. */
export interface CheckedFile {
  name: string;
  words: string;
}

/** The result of a data check; `leftOut` lists in sentences what was not checked. */
export interface DataCheck {
  rows: number;
  files: CheckedFile[];
  findings: Finding[];
  leftOut: string[];
}

/** Progress of slow work; `total` is null if unknown. */
export interface Preparation {
  label: string;
  done: number;
  total: number | null;
  unit: string;
}

/** A source of a data set, by name: its trainable `rows`, and how often an epoch uses each of those that are not held out, its `weight`. */
export interface MixedSource {
  name: string;
  rows: number;
  weight: number;
}

/** A data set as a trainer's model sees it, and how far it has been read. */
export interface DatasetView {
  id: string;
  state: "opening" | "reading" | "ready" | "changed" | "failed";
  error?: string;
  progress?: Preparation;
  source: string;
  sources?: MixedSource[];
  form: string;
  model: string;
  rows: number | null;
  indexed: number;
  read: number;
  excluded: number;
  leftOut: number;
  maxLength: number | null;
  context: number | null;
  tokens: number;
  learned: number;
  roles: Record<string, number>;
  findings: Finding[];
}

/** What truncation after `n` tokens would lose, for every `n` up to the last index of `rows`. */
export interface DatasetLengths {
  read: number;
  rows: number[];
  beyond: number;
  learned: number[];
  learnedBeyond: number;
  first: number[];
}

/** Summary of a row. `error` says why it has no tokens; `excerpt` is its beginning. */
export interface DatasetRow {
  row: number;
  where: string;
  excerpt: string;
  length: number;
  learned: number;
  label?: string;
  error?: string;
  excluded?: boolean;
  leftOut?: boolean;
}

/** How a row is excluded: by this `entry` in the `exclude` of source number `source`, from 0. */
export interface RowExclusion {
  source: number;
  entry: string;
  excluded: boolean;
}

/** A run of consecutive tokens with equal properties: `role` is a message's, or `template`. */
export interface TokenRun {
  count: number;
  weight: number;
  role: string;
}

/** A row token by token, before truncation. `ids`, `texts` and `runs` cover `shown` tokens. */
export interface DatasetTokens {
  row: number;
  where: string;
  length: number;
  examples: number[];
  learned: number;
  first: number | null;
  roles: Record<string, number>;
  shown: number;
  ids: number[];
  texts: string[];
  special: number[];
  runs: TokenRun[];
  label?: string;
  exclusion?: RowExclusion;
  error?: string;
  raw?: string;
}

/** The row that matched a search, or null; the search has reached row `reached`. */
export interface DatasetFound {
  row: number | null;
  reached: number;
  rows?: number[];
}

/** The state of a view's embeddings or losses: `none` until requested for the rows' current content. */
export interface RowEmbeddings {
  state: "none" | "waiting" | "running" | "completed" | "failed";
  progress?: Preparation;
  error?: string;
}

/** A row like another one, by the cosine of both embeddings, -1 to 1, after the mean was subtracted. */
export interface SimilarRow {
  row: number;
  similarity: number;
  excerpt: string;
  heldOut?: boolean;
}

/** Rows of similar meaning: `terms` are words that set them apart, `examples` the most typical rows. */
export interface RowGroup {
  rows: number;
  heldOut: number;
  terms: string[];
  examples: number[];
}

/** Groups of `rows` embedded rows, the largest first; none if no groups stand out from chance. */
export interface RowGroups {
  rows: number;
  heldOut: number;
  skipped: number;
  groups: RowGroup[];
}

/** The first two principal components of the rows' embeddings; columns of one length. */
export interface RowMap {
  rows: number[];
  x: number[];
  y: number[];
  groups: number[];
}

/** A row and its mean loss per learned token, in nats. */
export interface SurprisingRow {
  row: number;
  loss: number;
}

/** A row of the project's own files, to be edited. */
export interface EditableRow {
  file: string;
  source: number;
  columns: Record<string, string>;
  entry: string;
  record: Record<string, unknown> | null;
  text: string | null;
  problem?: string;
  packed?: string;
}

/** A change of `rows` rows in `files`, and the `undo` that reverts it. */
export interface DataChanged {
  undo: string;
  rows: number;
  files: string[];
}

/** A row of a plan of fixes: another `text`, or `delete`. */
export interface FixedRow {
  source: number;
  entry: string;
  text: string | null;
  delete: boolean;
}

/** Fixes of findings: how many rows by finding, `rows` in all, and how they would change. */
export interface DataFixes {
  counts: Record<string, number>;
  rows: number;
  diff: string;
  leftOut: string[];
  changes: FixedRow[];
  undo?: string;
}

/** A line of `data/reviews.jsonl`: a person's judgement of the row with the hash `row`, 16 hexadecimal digits (`arkor_dev.data.exclusions.row_hash`). */
export interface Review {
  row: string;
  file?: string;
  verdict?: "accepted" | "rejected" | "flagged";
  tags?: string[];
  comment?: string;
  by?: string;
  at?: string;
  made?: Record<string, unknown>;
}

/** A row that differs between the data of two jobs: where it is (was, if removed), and how it begins. */
export interface ChangedRow {
  kind: "added" | "removed" | "changed";
  where: string;
  excerpt: string;
}

/** How many rows of a job are the `same` as another's; `rows` are the first of those that differ. */
export interface RowDifference {
  same: number;
  changed: number;
  added: number;
  removed: number;
  rows: ChangedRow[];
}

/** How the rows of a job differ from those of another: the training rows, and the held-out ones. */
export interface DataDifference {
  train: RowDifference;
  heldOut: RowDifference;
}

/** How many rows have a tag, or how many a person has judged. */
export interface ReviewCount {
  name: string;
  rows: number;
}

/** Two people's verdicts on the same rows: `equal` of `rows` agree. */
export interface ReviewAgreement {
  people: string[];
  rows: number;
  equal: number;
  kappa: number | null;
  low: number | null;
  high: number | null;
}

/** How far a rubric's judge (`by`), which has `scored` rows, agrees with people's verdicts on them. */
export interface RubricAgreement {
  by: string;
  scored: number;
  rows: number;
  equal: number;
  kappa: number | null;
  low: number | null;
  high: number | null;
  needs: number;
  heard: boolean;
}

/** The judgements of a trainer's rows. Each of `rows` has one verdict of all people, or is `unseen`. */
export interface ReviewSummary {
  file: string;
  rows: number;
  accepted: number;
  rejected: number;
  flagged: number;
  unseen: number;
  made: number;
  disputed: number;
  tags: ReviewCount[];
  people: ReviewCount[];
  agreement: ReviewAgreement[];
  rubrics: RubricAgreement[];
  by: string;
}

/** The judgements of one row; `hash` is empty for a row that cannot be judged. */
export interface ReviewedRow {
  row: number;
  hash: string;
  file: string;
  verdict?: string;
  reviews: Review[];
  made?: Record<string, unknown>;
}

/** A row's verdict, for a list of rows; `made` rows without one are not trained on yet. */
export interface ReviewMark {
  row: number;
  verdict?: string;
  made?: boolean;
}

/** A line of `data/corrections.jsonl`: a conversation that ends with the ideal answer. */
export interface Correction {
  line: number;
  messages: ChatMessage[];
  at?: string;
  by?: string;
  instead?: string;
}

/** A line of a `file`: which of two answers was preferred, or how one was rated. */
export interface Preference {
  file: string;
  line: number;
  kind: string;
  models: string[];
  id?: string;
  at?: string;
  by?: string;
  prompt?: ChatMessage[];
  label?: boolean;
}

/** `GET /api/preferences`: the newest lines of the `files` that have any; `older` counts the rest. */
export interface Preferences {
  files: string[];
  rows: Preference[];
  older: number;
  pairs: number;
  ratings: number;
  corrections: number;
  problem?: string;
}

/** A trainer of `arkor.toml`, and whether its data set includes the corrections file. */
export interface CorrectionsTrainer {
  name: string;
  listed: boolean;
}

/** `GET /api/corrections`: the newest lines; `older` counts the rest. */
export interface Corrections {
  file: string;
  rows: Correction[];
  older: number;
  trainers: CorrectionsTrainer[];
  revision?: string;
}

/** `POST /api/corrections`. `sameQuestion` lists lines with another answer to the same question. */
export interface CorrectionAdded {
  file: string;
  line: number;
  sameQuestion: number[];
  undo: string;
}

export type MakingState = "reading" | "running" | "pausing" | "done" | "paused" | "budget" | "failed";

/** The options of a making run; `keyEnv` names the environment variable of the key, never its value. */
export interface MakingOptions {
  kind: string;
  teacher: string;
  model: string;
  paths?: string[];
  of?: string;
  trainer?: string;
  rows?: number[];
  name?: string | null;
  keyEnv?: string | null;
  perPassage?: number | null;
  voice?: string | null;
  schema?: Record<string, unknown> | null;
  budgetTokens?: number | null;
  budgetRequests?: number | null;
  budgetMoney?: number | null;
  price?: number[] | null;
}

/** The estimate of a making run: `tokens` is a guess, `mostTokens` a bound; `kept` answers cost nothing. */
export interface MakingEstimate {
  name: string;
  documents: number;
  passages: number;
  requests: number;
  kept: number;
  tokens: number;
  mostTokens: number;
  money: number;
  leftOut: string[];
}

/** The current state of a making run. */
export interface Making {
  name: string;
  file: string;
  state: MakingState;
  kind: string;
  model: string;
  host: string;
  passages: number;
  done: number;
  kept: number;
  rows: number;
  dropped: Record<string, number>;
  requests: number;
  inputTokens: number;
  outputTokens: number;
  money: number;
  budgetTokens: number | null;
  budgetRequests: number | null;
  budgetMoney: number | null;
  waiting: string | null;
  error: string | null;
  leftOut: string[];
}

/** A past making run, with the options of its last start. */
export interface KnownMaking {
  name: string;
  file: string;
  at: string;
  options: MakingOptions;
}

/** `current` is this launch's current or latest making run; `model` is the first trainer's. */
export interface Makings {
  current: Making | null;
  known: KnownMaking[];
  model: string | null;
}

/** One request to a deployment. Times are seconds since its arrival; `at` is ISO 8601 in UTC. */
export interface EndpointRequest {
  id: string;
  at: string;
  call: string;
  status: number;
  key: string | null;
  stream: boolean;
  promptTokens: number;
  completionTokens: number;
  firstTokenSeconds: number | null;
  seconds: number;
  kept: boolean;
  error?: string;
  messages?: ChatMessage[];
  answers?: string[];
  reasons?: string[];
  tools?: (Record<string, unknown>)[];
  calls?: ((Record<string, unknown>)[])[];
}

/** Totals over a deployment's newest requests (at most 1,000); null if none was answered. */
export interface EndpointTotals {
  requests: number;
  errors: number;
  promptTokens: number;
  completionTokens: number;
  tokensPerSecond: number | null;
  medianSeconds: number | null;
  slowSeconds: number | null;
}

/** `GET /v1/endpoints/:id/requests`: the newest, at most 50; `more` if there are older ones. */
export interface EndpointRequests {
  requests: EndpointRequest[];
  totals: EndpointTotals;
  more: boolean;
}

/** The log-probability of an answer in nats, its number of tokens, and `text`, the likelier answer. */
export interface AnswerScore {
  logp: number;
  tokens: number;
  text?: string;
}

/** A training row. `row` is its number on the Data page. */
export interface TracedRow {
  where: string;
  row?: number;
  question: string;
  answer: string;
  score: number;
}

/** How many of this job's proposals were tested by training, and how many of those were right. */
export interface Reliability {
  proofs: number;
  confirmed: number;
}

/** The same job, trained again without some rows, and without as many random ones. */
export interface Proof {
  state: "training" | "scoring" | "completed" | "failed";
  jobs: Record<string, string>;
  rows: string[];
  error?: string;
  trained?: AnswerScore;
  without?: AnswerScore;
  random?: AnswerScore;
}

/** Which rows are behind an answer; or, without `messages`, which rows contradict those like them. */
export interface Attribution {
  id: string;
  state: "waiting" | "running" | "completed" | "failed";
  messages?: ChatMessage[];
  answer?: string;
  progress?: Progress;
  error?: string;
  adapter?: AnswerScore;
  base?: AnswerScore;
  learned?: boolean;
  rows?: number;
  close?: boolean;
  similar?: TracedRow[];
  contradicting?: TracedRow[];
  unproven?: TracedRow[];
  reliability?: Reliability;
  proof?: Proof;
}

/** A row that was deleted from an adapter: its place when it was trained on, and a hash of its content. */
export interface DeletedRow {
  where: string;
  sha256: string;
}

/** A place that still holds text of the deleted rows. `name` is what a person calls it. */
export interface TextCopy {
  id: string;
  kind: "data" | "file" | "export" | "event" | "log" | "job" | "answer" | "cache";
  name: string;
  deletable: boolean;
  job?: string;
}

/** An adapter, or what uses one, that learned from the rows: `certain`, or it may have. */
export interface Dependent {
  kind: "adapter" | "endpoint" | "export";
  name: string;
  certain: boolean;
  why: string;
  job?: string;
}

/** The job, trained again from the start without the rows. `same`: its adapter has the same bits. */
export interface ForgetRepeat {
  job: string;
  state: "training" | "completed" | "failed";
  same?: boolean;
}

/** The rows that a job deleted from another's adapter, how, and which copies of them this machine has. */
export interface Certificate {
  job: string;
  of: string;
  ofName: string;
  rows: DeletedRow[];
  first: number | null;
  start: number;
  steps: number;
  message: string;
  exact: boolean;
  before: string | null;
  after: string;
  intact: boolean;
  searchedAt: string;
  searchable: boolean;
  files: number;
  bytes: number;
  copies: TextCopy[];
  copiesCount: number;
  dependents: Dependent[];
  unsearched: string[];
  unsearchedCount: number;
  deleted: TextCopy[];
  repeat?: ForgetRepeat;
}

/** The cluster of a launch's jobs (`GET /api/cluster`), not contacted; null without one. */
export interface NamedCluster {
  address: string | null;
  insecure: boolean;
  untrusted: string[];
}

/** One machine of a cluster. `memory` is in bytes. */
export interface ClusterNode {
  name: string;
  cpus: number;
  gpus: number;
  memory: number;
  python?: string;
  versions?: Record<string, string>;
  missing?: string[];
  problem?: string;
}

/** Free resources over all machines. `memory` is in bytes. */
export interface ClusterFree {
  cpus: number;
  gpus: number;
  memory: number;
}

/** The current state of a cluster. `token` says whether it requires one, if known. */
export interface Cluster {
  address: string;
  ray?: string;
  python?: string;
  token?: boolean;
  nodes?: ClusterNode[];
  free?: ClusterFree;
  problem?: string;
}

/** One setting of a trainer, as it is shown. */
export interface Setting {
  field: "model" | "maxSteps" | "numTrainEpochs" | "batchSize" | "gradientAccumulationSteps" | "learningRate" | "lrSchedulerType" | "warmupSteps" | "loraR" | "loraAlpha" | "maxLength" | "datasetSplit" | "evalSteps" | "saveSteps" | "warmupRatio" | "lrNumCycles" | "lrPower" | "lrNumDecaySteps" | "optim" | "weightDecay" | "adamBeta1" | "adamBeta2" | "adamEpsilon" | "maxGradNorm" | "fullFineTuning" | "loraTargetModules" | "loraLayersToTransform" | "loraModulesToSave" | "loraDropout" | "useRslora" | "useDora" | "initLoraWeights" | "method" | "trainOnResponsesOnly" | "completionOnlyLoss" | "enableThinking" | "thoughtWeight" | "answerWeight" | "trainOnEmptyThoughts" | "packing" | "groupByLength" | "labelSmoothingFactor" | "skipBadRows" | "beta" | "lossType" | "rpoAlpha" | "cpoAlpha" | "simpoGamma" | "desirableWeight" | "undesirableWeight" | "rewardFuncs" | "rewardWeights" | "environment" | "maxTurns" | "maxEpisodeTokens" | "numGenerations" | "maxCompletionLength" | "temperature" | "scaleRewards" | "numIterations" | "epsilon" | "epsilonHigh" | "importanceSamplingLevel" | "maskTruncatedCompletions" | "softPunishCache" | "maxResampleTimes" | "teacher" | "lmbda" | "seqKd" | "distillationTopk" | "distillationAddTail" | "teacherModelKind" | "teacherUpdateRate" | "teacherSyncSteps" | "classWeight" | "loss" | "scale" | "matryoshkaDims" | "poolingMode" | "queryPrompt" | "documentPrompt" | "corpus" | "loggingSteps" | "samples" | "earlyStoppingPatience" | "earlyStoppingThreshold" | "stopWhen" | "verdictMargin" | "replay" | "replayDataset" | "baseKl" | "maxHarm" | "saveTotalLimit" | "onNonFinite" | "loadIn4bit" | "numberFormat" | "bf16" | "fp16" | "gradientCheckpointing" | "offload" | "activationOffloading" | "seed" | "dataSeed" | "splitSeed" | "neftuneNoiseAlpha" | "reportTo" | "pauseOnBattery" | "dryRun" | "cpus" | "gpus" | "memory" | "workers" | "gpuTypes";
  label: string;
  style: "count" | "flag" | "interval" | "list" | "rate" | "share" | "steps" | "text" | "tokens";
}

/** In reading order. */
export const SETTINGS: readonly Setting[] = [
  { field: "model", label: "Base model", style: "text" },
  { field: "maxSteps", label: "Steps", style: "count" },
  { field: "numTrainEpochs", label: "Epochs", style: "count" },
  { field: "batchSize", label: "Batch size", style: "count" },
  { field: "gradientAccumulationSteps", label: "Gradient accumulation steps", style: "count" },
  { field: "learningRate", label: "Learning rate", style: "rate" },
  { field: "lrSchedulerType", label: "LR scheduler", style: "text" },
  { field: "warmupSteps", label: "Warmup steps", style: "steps" },
  { field: "loraR", label: "LoRA rank", style: "count" },
  { field: "loraAlpha", label: "LoRA alpha", style: "count" },
  { field: "maxLength", label: "Max length", style: "tokens" },
  { field: "datasetSplit", label: "Evaluation split", style: "share" },
  { field: "evalSteps", label: "Evaluate every", style: "interval" },
  { field: "saveSteps", label: "Save every", style: "interval" },
  { field: "warmupRatio", label: "Warmup ratio", style: "share" },
  { field: "lrNumCycles", label: "Restart cycles", style: "count" },
  { field: "lrPower", label: "Polynomial power", style: "count" },
  { field: "lrNumDecaySteps", label: "WSD decay steps", style: "steps" },
  { field: "optim", label: "Optimizer", style: "text" },
  { field: "weightDecay", label: "Weight decay", style: "rate" },
  { field: "adamBeta1", label: "Adam beta1", style: "rate" },
  { field: "adamBeta2", label: "Adam beta2", style: "rate" },
  { field: "adamEpsilon", label: "Adam epsilon", style: "rate" },
  { field: "maxGradNorm", label: "Max gradient norm", style: "count" },
  { field: "fullFineTuning", label: "Full fine-tuning", style: "flag" },
  { field: "loraTargetModules", label: "Target modules", style: "list" },
  { field: "loraLayersToTransform", label: "Layers to adapt", style: "list" },
  { field: "loraModulesToSave", label: "Modules to save", style: "list" },
  { field: "loraDropout", label: "LoRA dropout", style: "share" },
  { field: "useRslora", label: "Rank-stabilized LoRA", style: "flag" },
  { field: "useDora", label: "DoRA", style: "flag" },
  { field: "initLoraWeights", label: "Initialization", style: "text" },
  { field: "method", label: "Training method", style: "text" },
  { field: "trainOnResponsesOnly", label: "Loss on answers only", style: "flag" },
  { field: "completionOnlyLoss", label: "Loss on last answer only", style: "flag" },
  { field: "enableThinking", label: "Thinking", style: "flag" },
  { field: "thoughtWeight", label: "Weight of thoughts", style: "text" },
  { field: "answerWeight", label: "Weight of answers", style: "text" },
  { field: "trainOnEmptyThoughts", label: "Loss on empty thoughts", style: "flag" },
  { field: "packing", label: "Packing", style: "flag" },
  { field: "groupByLength", label: "Group by length", style: "flag" },
  { field: "labelSmoothingFactor", label: "Label smoothing", style: "share" },
  { field: "skipBadRows", label: "Skip invalid rows", style: "flag" },
  { field: "beta", label: "Beta", style: "text" },
  { field: "lossType", label: "Loss type", style: "text" },
  { field: "rpoAlpha", label: "RPO alpha", style: "text" },
  { field: "cpoAlpha", label: "CPO alpha", style: "text" },
  { field: "simpoGamma", label: "Target margin", style: "text" },
  { field: "desirableWeight", label: "Weight of good answers", style: "text" },
  { field: "undesirableWeight", label: "Weight of bad answers", style: "text" },
  { field: "rewardFuncs", label: "Rewards", style: "list" },
  { field: "rewardWeights", label: "Reward weights", style: "list" },
  { field: "environment", label: "Environment", style: "text" },
  { field: "maxTurns", label: "Most turns", style: "count" },
  { field: "maxEpisodeTokens", label: "Longest episode", style: "tokens" },
  { field: "numGenerations", label: "Answers per prompt", style: "count" },
  { field: "maxCompletionLength", label: "Longest answer", style: "tokens" },
  { field: "temperature", label: "Temperature", style: "text" },
  { field: "scaleRewards", label: "Scale of the rewards", style: "text" },
  { field: "numIterations", label: "Updates per step", style: "count" },
  { field: "epsilon", label: "Clipping", style: "text" },
  { field: "epsilonHigh", label: "Upper clipping", style: "text" },
  { field: "importanceSamplingLevel", label: "Importance sampling level", style: "text" },
  { field: "maskTruncatedCompletions", label: "Leave out cut answers", style: "flag" },
  { field: "softPunishCache", label: "Soft overlong punishment", style: "tokens" },
  { field: "maxResampleTimes", label: "Dynamic sampling", style: "count" },
  { field: "teacher", label: "Teacher", style: "text" },
  { field: "lmbda", label: "Share of own answers", style: "share" },
  { field: "seqKd", label: "Answers of the teacher", style: "flag" },
  { field: "distillationTopk", label: "Compared tokens", style: "tokens" },
  { field: "distillationAddTail", label: "Compare the rest", style: "flag" },
  { field: "teacherModelKind", label: "Weights of the teacher", style: "text" },
  { field: "teacherUpdateRate", label: "Rate of the average", style: "text" },
  { field: "teacherSyncSteps", label: "Steps between its updates", style: "count" },
  { field: "classWeight", label: "Class weights", style: "list" },
  { field: "loss", label: "Loss", style: "text" },
  { field: "scale", label: "Scale", style: "rate" },
  { field: "matryoshkaDims", label: "Matryoshka dimensions", style: "list" },
  { field: "poolingMode", label: "Pooling", style: "text" },
  { field: "queryPrompt", label: "Prompt of queries", style: "text" },
  { field: "documentPrompt", label: "Prompt of documents", style: "text" },
  { field: "corpus", label: "Corpus", style: "text" },
  { field: "loggingSteps", label: "Log every", style: "interval" },
  { field: "samples", label: "Sample prompts", style: "list" },
  { field: "earlyStoppingPatience", label: "Early stopping patience", style: "count" },
  { field: "earlyStoppingThreshold", label: "Early stopping threshold", style: "rate" },
  { field: "stopWhen", label: "Stop when", style: "text" },
  { field: "verdictMargin", label: "Verdict margin", style: "rate" },
  { field: "replay", label: "Replay", style: "rate" },
  { field: "replayDataset", label: "Replay data set", style: "text" },
  { field: "baseKl", label: "Base KL penalty", style: "rate" },
  { field: "maxHarm", label: "Max harm in general", style: "rate" },
  { field: "saveTotalLimit", label: "Max checkpoints to keep", style: "count" },
  { field: "onNonFinite", label: "On NaN/Inf loss", style: "text" },
  { field: "loadIn4bit", label: "Quantize to 4 bits", style: "flag" },
  { field: "numberFormat", label: "Compute dtype", style: "text" },
  { field: "bf16", label: "Use bfloat16", style: "flag" },
  { field: "fp16", label: "Use float16", style: "flag" },
  { field: "gradientCheckpointing", label: "Gradient checkpointing", style: "flag" },
  { field: "offload", label: "Layer streaming", style: "text" },
  { field: "activationOffloading", label: "Activation offloading", style: "flag" },
  { field: "seed", label: "Seed", style: "text" },
  { field: "dataSeed", label: "Data seed", style: "text" },
  { field: "splitSeed", label: "Split seed", style: "text" },
  { field: "neftuneNoiseAlpha", label: "NEFTune noise alpha", style: "count" },
  { field: "reportTo", label: "Report to", style: "list" },
  { field: "pauseOnBattery", label: "Pause on battery", style: "flag" },
  { field: "dryRun", label: "Dry run", style: "flag" },
  { field: "cpus", label: "CPU cores", style: "count" },
  { field: "gpus", label: "GPUs", style: "count" },
  { field: "memory", label: "Memory", style: "count" },
  { field: "workers", label: "Workers", style: "count" },
  { field: "gpuTypes", label: "GPU types", style: "list" },
];

/** How often the data is trained on where nobody says how long. */
export const DEFAULT_EPOCHS = 3;

/** The method of a job that names none, and the methods that can replay general prompts. */
export const DEFAULT_METHOD = "sft";
export const REPLAYING: readonly string[] = ["sft"];

/** Two of which only one can be set: setting either removes the other. */
export const ONE_OF: readonly (readonly [Setting["field"], Setting["field"]])[] = [
  ["maxSteps", "numTrainEpochs"],
  ["warmupSteps", "warmupRatio"],
];
