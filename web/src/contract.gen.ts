// Generated from arkor_dev/contract/shapes.py by scripts/build_types.py. Not edited by hand.

export const CLIENT_HEADER = "X-Arkor-Client";

export const STUDIO_TOKEN_HEADER = "X-Arkor-Studio-Token";

export const STUDIO_TOKEN_QUERY = "studioToken";

export const STALE_HEADER = "X-Arkor-Stale";

export const STALE_WHY_HEADER = "X-Arkor-Stale-Why";

export const CURSOR_HEADER = "X-Arkor-Cursor";

export const FROM_HEADER = "X-Arkor-From";

export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

export const TERMINAL: ReadonlySet<string> = new Set(["cancelled", "completed", "failed"]);

export type EventName = "training.started" | "training.log" | "checkpoint.saved" | "training.completed" | "training.failed" | "ping" | "end";

/** Where the rows come from; `file` is known to the local backend only. */
export interface DatasetSource {
  type: "huggingface" | "blob" | "file";
  name?: string;
  split?: string;
  subset?: string;
  url?: string;
  token?: string;
  path?: string;
}

/** What a job is asked to do. Steps and epochs are counts, `maxLength` tokens. */
export interface JobConfig {
  model: string;
  datasetSource: DatasetSource;
  maxSteps?: number;
  numTrainEpochs?: number;
  learningRate?: number;
  batchSize?: number;
  optim?: string;
  lrSchedulerType?: string;
  weightDecay?: number;
  warmupSteps?: number;
  loggingSteps?: number;
  saveSteps?: number;
  evalSteps?: number;
  loraR?: number;
  loraAlpha?: number;
  maxLength?: number;
  loadIn4bit?: boolean;
  trainOnResponsesOnly?: boolean;
  datasetFormat?: unknown;
  datasetSplit?: unknown;
  dryRun?: boolean;
}

/** How far a job has come. The local backend adds it to each job; others may not. */
export interface JobMetrics {
  step?: number;
  totalSteps?: number;
  loss?: number | null;
  evalLoss?: number | null;
  bestEvalLoss?: number | null;
}

/** The job that a queued one waits for first. */
export interface QueuedBehind {
  id: string;
  name: string;
}

/** Where a queued job stands: `position` 1 is the next one to start. */
export interface QueuePlace {
  position: number;
  behind: QueuedBehind | null;
}

/** One training job. Times are ISO 8601 in UTC; `queue` is there while it waits, where it is known. */
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
  metrics?: JobMetrics;
  queue?: QueuePlace;
}

/** A file set that a job left behind; `kind` is `adapter` or `checkpoint`. */
export interface Artifact {
  kind: string;
  name?: string;
  step?: number;
  bytes?: number;
  path?: string;
}

/** One frame's data in a job's event stream; which fields are there depends on `type`. */
export interface TrainingEvent {
  type: string;
  jobId: string;
  timestamp: string;
  step?: number;
  loss?: number | null;
  evalLoss?: number | null;
  learningRate?: number | null;
  epoch?: number | null;
  samplesPerSecond?: number | null;
  tokensPerSecond?: number | null;
  metadata?: Record<string, unknown>;
  metrics?: Record<string, unknown>;
  artifacts?: Artifact[];
  error?: string;
  label?: string;
  done?: number;
  total?: number | null;
}

/** One turn of a conversation. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  tool_calls?: unknown[];
  tool_call_id?: string;
}

/** A trained adapter: a job's final one, or the checkpoint of one step. */
export interface AdapterRef {
  kind: "final" | "checkpoint";
  jobId: string;
  step?: number;
}

/** `adapter` or `baseModel` says who answers; `stream` is true unless said otherwise. */
export interface ChatRequest {
  messages: ChatMessage[];
  adapter?: AdapterRef;
  baseModel?: string;
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  stream?: boolean;
  tools?: unknown[];
  toolChoice?: unknown;
  responseFormat?: unknown;
  structuredOutputs?: unknown;
}

/** `GET /api/credentials`: who is signed in where; `token` is a masked preview. */
export interface CredentialsView {
  mode: string;
  orgSlug: string | null;
  projectSlug: string | null;
  baseUrl: string;
  token: string;
  signIn?: string;
}

/** One trainer that the project declares, with the settings a person reads before pressing Run. */
export interface Trainer {
  name: string;
  config?: JobConfig;
  rows?: number;
  problem?: string;
}

/** The single trainer of a TypeScript project, or the first of `arkor.toml`. */
export interface TrainerName {
  name: string;
}

/** `GET /api/manifest`. `revision` stands for what it was read from, and changes with it. */
export interface Manifest {
  trainer: TrainerName | null;
  trainers: Trainer[];
  source?: "arkor.toml" | "typescript";
  revision?: string;
}

/** `GET /api/capabilities`: the optional features that the backend names. */
export interface Capabilities {
  features: string[];
}

/** `POST /api/train`. With a `revision` that is no longer the project's, nothing is started (409). */
export interface TrainRequest {
  file?: string;
  trainer?: string;
  dryRun?: boolean;
  revision?: string;
}

/** One child process that this launch of Studio has started (`GET /api/train`). */
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

/** What a deployment serves. */
export interface DeploymentTarget {
  kind: "adapter" | "base_model";
  adapter?: AdapterRef;
  baseModel?: string;
}

/** A public OpenAI-compatible endpoint of the managed backend. */
export interface Deployment {
  id: string;
  slug: string;
  orgId: string;
  projectId: string;
  target: DeploymentTarget;
  authMode: "none" | "fixed_api_key";
  urlFormat: string;
  enabled: boolean;
  customDomain?: string | null;
  runRetentionMode?: string | null;
  runRetentionDays?: number | null;
  createdAt: string;
  updatedAt: string;
}

/** An API key of a deployment; `plaintext` is in the answer to its creation alone. */
export interface DeploymentKey {
  id: string;
  label: string;
  prefix: string;
  enabled: boolean;
  createdAt: string;
  lastUsedAt: string | null;
  plaintext?: string;
}
