/**
 * The state of a run, from its events: points in typed arrays, checkpoints, metadata, and the raw log. One mutable
 * object per job, fed event by event; the page reads it when `stream.ts` reports a change.
 */
import {
  type Artifact,
  CANCELLED_ERROR,
  CHECKPOINT_REMOVED,
  CHECKPOINT_SAVED,
  DIVERGING,
  END,
  MODEL_PROGRESS,
  ROLLOUTS_CREATED,
  SAMPLE_CREATED,
  SYSTEM_METRICS,
  TRAINING_CANCELLED,
  TRAINING_COMPLETED,
  TRAINING_FAILED,
  TRAINING_LOG,
  TRAINING_MESSAGE,
  TRAINING_PAUSED,
  TRAINING_PHASE,
  TRAINING_RESUMED,
  TRAINING_STARTED,
} from "../contract.gen";
import { finite, isObject, type JsonObject, objectIn } from "../lib/json";
import { Records } from "./records";
import { Rows } from "./rows";
export interface Checkpoint {
  step: number;
  time: number;
  artifacts: readonly Artifact[];
}

export interface Best {
  value: number;
  step: number;
}

/** Where the run paused or resumed, and why. */
export interface Stop {
  step: number;
  reason: string;
  message: string;
}

/** What a running job is doing, by the names of docs/contract.md#phases-and-time-left, and since when. */
export interface Phase {
  name: string;
  since: number;
}

/** The newest estimate of the time until the job ends, and its reference time, by the backend's clock. */
export interface TimeLeft {
  ms: number;
  from: number;
}

/** How the adapter of an evaluated step compares with its base. */
export interface SoFar {
  step: number;
  state: string;
  sentence: string;
}

export interface Progress {
  label: string;
  done: number;
  total: number | null;
}

/** A number that the training method reports besides its loss. */
export interface Figure {
  name: string;
  label: string;
  unit: string;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const MAX_NAME = 80;
const MAX_SENTENCE = 600;
/** Most phases with different names. */
const MAX_PHASES = 20;
/** Most figures: more than a person can read. */
const MAX_FIGURES = 20;

export class Run {
  readonly rows = new Rows();
  readonly records = new Records();
  checkpoints: Checkpoint[] = [];
  /**
   * Machine metrics, event by event, unparsed: only the job's page needs them, and they are not in the log. The list is
   * replaced when some of them are dropped.
   */
  samples: Uint8Array[] = [];
  /** The answers to the job's sample prompts, event by event. */
  answers: readonly JsonObject[] = [];
  /** Some of the rewarded answers that the job learned from, step by step. */
  rollouts: readonly JsonObject[] = [];
  /** The time of the first `training.started`, and the metadata of the last one. */
  startedAt = NaN;
  metadata: JsonObject = {};
  /** How the job ended, once its events report it. */
  outcome: "completed" | "failed" | "cancelled" | null = null;
  endedAt = NaN;
  /** When the last end or pause came that no resume has followed. */
  stoppedAt = NaN;
  /** Milliseconds between each end or pause and the resume after it: the job did not run. */
  idle = 0;
  error: string | null = null;
  metrics: JsonObject = {};
  artifacts: readonly Artifact[] = [];
  /** The message about a diverging loss. */
  rising = "";
  /** While it is paused. */
  pause: Stop | null = null;
  /** The last resume. */
  resumed: Stop | null = null;
  progress: Progress | null = null;
  /** While it runs, if the backend reports it. */
  phase: Phase | null = null;
  /** Milliseconds in each phase that is over, by its name, in the order of their first beginnings. */
  phases: ReadonlyMap<string, number> = new Map();
  timeLeft: TimeLeft | null = null;
  /** Whether any row has an eval loss, even a non-finite one. */
  evaluated = false;
  bestLoss: Best | null = null;
  bestEvalLoss: Best | null = null;
  /** The newest evaluation's, if the backend compares. */
  soFar: SoFar | null = null;
  /** Whether the stream has ended. */
  over = false;
  /** How far the backend's clock is behind this one, in milliseconds, by the row that arrived fastest; 0 before. */
  behind = 0;
  #heard = false;
  /** When the end came that was withdrawn. */
  #withdrawn: number | null = null;

  /** The training method's own figures, in its order. */
  get figures(): readonly Figure[] {
    return figuresIn(this.metadata.figures);
  }

  /** The figure that the training method is judged by, instead of the loss. */
  get judged(): Figure | undefined {
    return this.figures.find(({ name }) => name === figuresIn([this.metadata.measure])[0]?.name);
  }

  /** The method's name for its loss. */
  get measure(): string {
    return figuresIn([this.metadata.measure])[0]?.label ?? "Loss";
  }

  get lastStep(): number {
    return this.rows.step.last();
  }

  /** Whether the job was resumed or extended after `outcome`: a worker that loads its model sends no event for a while. */
  get isContinued(): boolean {
    return Object.is(this.endedAt, this.#withdrawn);
  }

  withdrawEnd(): void {
    this.#withdrawn = this.endedAt;
  }

  clear(): void {
    this.rows.clear();
    this.records.clear();
    Object.assign(this, {
      ...EMPTY,
      checkpoints: [],
      samples: [],
      answers: [],
      rollouts: [],
      phases: new Map(),
    });
  }

  /** Processes one event. */
  add(event: string, text: string): void {
    if (event === END) {
      this.over = true;
      return;
    }
    if (event === SYSTEM_METRICS) {
      this.samples.push(encoder.encode(text));
      return;
    }
    const data = parse(text);
    const name = event === "message" && typeof data?.type === "string" ? data.type : event;
    const time = timeIn(data);
    const secondsLeft = numberIn(data?.secondsLeft);
    if (secondsLeft >= 0 && secondsLeft < Infinity) this.timeLeft = { ms: 1000 * secondsLeft, from: time };
    if (name === TRAINING_PHASE) {
      const phase = String(data?.phase ?? "").slice(0, MAX_NAME);
      if (phase !== this.phase?.name) {
        this.#leavePhase(time);
        this.phase = { name: phase, since: time };
      }
      return;
    }
    const progress = name === MODEL_PROGRESS ? String(data?.label ?? "").slice(0, MAX_NAME) : undefined;
    const step = numberIn(data?.step);
    const reached = ENDS.has(name) ? Infinity : name === TRAINING_STARTED ? -Infinity : step;
    this.records.add(name.slice(0, MAX_NAME), text, reached, progress);
    if (data === null) return;
    if (name === TRAINING_LOG) this.#log(data, step, time);
    else this.#other(name, data, step, time);
  }

  /** Records the newest row's arrival at `now`, on this machine's clock. */
  heard(now: number): void {
    const late = now - this.rows.time.last();
    if (late < this.behind || (!this.#heard && late === late)) this.behind = late;
    this.#heard = true;
  }

  #log(data: JsonObject, step: number, time: number): void {
    if (!Number.isFinite(step)) return;
    const evalLoss = numberIn(data.evalLoss);
    if (evalLoss === evalLoss) this.evaluated = true;
    // Null is a gap if nothing else was measured; next to an eval loss it means "not in this row".
    const loss = data.loss === null && evalLoss !== evalLoss ? Infinity : numberIn(data.loss);
    this.rows.add(
      step,
      time,
      numberIn(data.epoch),
      loss,
      evalLoss,
      numberIn(data.learningRate),
      numberIn(data.tokensPerSecond),
      numberIn(data.samplesPerSecond),
    );
    this.#best(step, loss, evalLoss);
    if (isObject(data.verdictSoFar)) {
      const { state, sentence } = data.verdictSoFar;
      this.soFar = { step, state: String(state), sentence: String(sentence ?? "").slice(0, MAX_SENTENCE) };
    }
    if (Array.isArray(this.metadata.figures)) this.#own(data);
  }

  #own(data: JsonObject): void {
    for (const { name } of this.figures) {
      for (const field of [name, evalName(name)]) {
        const value = data[field];
        if (value !== undefined) this.rows.figure(field).set(this.rows.length - 1, finite(value) ?? Infinity);
      }
    }
  }

  #best(step: number, loss: number, evalLoss: number): void {
    if (this.bestLoss === null ? loss < Infinity : loss < this.bestLoss.value)
      this.bestLoss = { value: loss, step };
    if (this.bestEvalLoss === null ? evalLoss < Infinity : evalLoss < this.bestEvalLoss.value) {
      this.bestEvalLoss = { value: evalLoss, step };
    }
  }

  #other(name: string, data: JsonObject, step: number, time: number): void {
    switch (name) {
      case TRAINING_STARTED:
        // A resumed run starts again; elapsed time counts from the first start.
        if (!Number.isFinite(this.startedAt)) this.startedAt = time;
        else if (this.rows.length > 0) this.rows.restarts.push(this.rows.length);
        if (isObject(data.metadata)) this.metadata = data.metadata;
        break;
      case TRAINING_MESSAGE:
        if (data.code === DIVERGING) this.rising = String(data.message);
        break;
      case TRAINING_PAUSED:
        this.pause = stop(data, step);
        this.#leavePhase(time);
        this.stoppedAt = time;
        Object.assign(this, NO_PHASE);
        break;
      case TRAINING_RESUMED:
        if (Number.isFinite(step)) this.#goOn(stop(data, step), time);
        break;
      case CHECKPOINT_SAVED:
        if (Number.isFinite(step)) {
          this.checkpoints = this.checkpoints.filter((known) => known.step !== step);
          this.checkpoints.push({ step, time, artifacts: list(data.artifacts) });
        }
        break;
      case SAMPLE_CREATED:
        this.answers = [...this.answers, data];
        break;
      case ROLLOUTS_CREATED:
        if (Number.isFinite(step)) this.rollouts = [...this.rollouts, data];
        break;
      case CHECKPOINT_REMOVED:
        this.checkpoints = this.checkpoints.filter((known) => known.step !== step);
        break;
      case MODEL_PROGRESS:
        this.progress = {
          label: String(data.label ?? ""),
          done: finite(data.done) ?? 0,
          total: finite(data.total),
        };
        break;
      case TRAINING_COMPLETED:
        this.metrics = object(data.metrics);
        this.artifacts = list(data.artifacts);
        this.#close("completed", time);
        break;
      case TRAINING_FAILED:
        // So says the managed backend that a job was cancelled.
        if (data.error === CANCELLED_ERROR) {
          this.#close("cancelled", time);
          break;
        }
        this.error =
          typeof data.error === "object" && data.error
            ? JSON.stringify(data.error)
            : String(data.error ?? "") || null;
        this.#close("failed", time);
        break;
      case TRAINING_CANCELLED:
        this.#close("cancelled", time);
    }
  }

  /** What was reported about later steps, and an end, is void. */
  #goOn(resumed: Stop, time: number): void {
    const { step } = resumed;
    const { rows } = this;
    rows.cut(step);
    rows.resumedAt = time || 0;
    this.idle += Math.max(0, time - this.stoppedAt) || 0;
    this.records.cut(step);
    if (step === 0) Object.assign(this, { startedAt: NaN, progress: null });
    Object.assign(this, OPEN, {
      samples: this.samples.filter((bytes) => step > 0 && !(stepIn(bytes) > step)),
      resumed,
      checkpoints: this.checkpoints.filter((saved) => saved.step <= step),
      answers: this.answers.filter((event) => !(Number(event.step) > step)),
      rollouts: this.rollouts.filter((event) => !(Number(event.step) > step)),
      soFar: this.soFar && this.soFar.step <= step ? this.soFar : null,
    });
    for (let row = 0; row < rows.length; row++)
      this.#best(rows.step.at(row), rows.loss.at(row), rows.evalLoss.at(row));
  }

  #close(outcome: "completed" | "failed" | "cancelled", time: number): void {
    this.outcome = outcome;
    this.endedAt = this.stoppedAt = time;
    this.#leavePhase(time);
    Object.assign(this, NO_PHASE);
  }

  #leavePhase(time: number): void {
    const { phase } = this;
    const spent = phase === null ? 0 : time - phase.since;
    if (phase === null || !(spent >= 0) || (this.phases.size >= MAX_PHASES && !this.phases.has(phase.name)))
      return;
    this.phases = new Map(this.phases).set(phase.name, (this.phases.get(phase.name) ?? 0) + spent);
  }
}

const ENDS: ReadonlySet<string> = new Set([
  TRAINING_COMPLETED,
  TRAINING_FAILED,
  TRAINING_CANCELLED,
  TRAINING_PAUSED,
]);

const NO_PHASE = { phase: null, timeLeft: null } as const;

/** Values that are not known yet for an unfinished run. */
const OPEN = {
  ...NO_PHASE,
  outcome: null,
  endedAt: NaN,
  stoppedAt: NaN,
  error: null,
  metrics: {},
  artifacts: [],
  pause: null,
  rising: "",
  bestLoss: null,
  bestEvalLoss: null,
  over: false,
} as const;

const EMPTY = {
  ...OPEN,
  startedAt: NaN,
  idle: 0,
  metadata: {},
  resumed: null,
  progress: null,
  evaluated: false,
  soFar: null,
} as const;

/** The field of a figure on the held-out rows: `evalRewardMargin` for `rewardMargin`. */
export const evalName = (name: string): string => `eval${name[0]!.toUpperCase()}${name.slice(1)}`;

function figuresIn(value: unknown): Figure[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter((item): item is JsonObject => isObject(item) && /^[a-z]\w{0,39}$/i.test(String(item.name)))
    .slice(0, MAX_FIGURES)
    .map(({ name, label, unit }) => ({
      name: String(name),
      label: String(label ?? name).slice(0, MAX_NAME),
      unit: String(unit ?? "").slice(0, MAX_NAME),
    }));
}

/** The step of a sample; NaN without one. */
function stepIn(bytes: Uint8Array): number {
  return Number(/"step"\s*:\s*(\d{1,15})/.exec(decoder.decode(bytes))?.[1] ?? NaN);
}

function stop({ reason, message }: JsonObject, step: number): Stop {
  return {
    step,
    reason: typeof reason === "string" ? reason : "",
    message: typeof message === "string" ? message : "",
  };
}

/** The object that an event has; Python also writes `NaN` and `Infinity`, which are read as out of range. */
function parse(text: string): JsonObject | null {
  const data = objectIn(text);
  if (data !== null || !/NaN|Infinity/.test(text)) return data;
  return objectIn(
    text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\bNaN\b|\bInfinity\b/g, (token) =>
      token[0] === '"' ? token : "1e999",
    ),
  );
}

/** NaN without a number; `Infinity` for one that is out of range. */
function numberIn(value: unknown): number {
  if (typeof value !== "number") return NaN;
  return Number.isFinite(value) ? value : Infinity;
}

/** An event's time in Unix milliseconds; NaN without one. */
function timeIn(data: JsonObject | null): number {
  return typeof data?.timestamp === "string" ? Date.parse(data.timestamp) : NaN;
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function list(value: unknown): readonly Artifact[] {
  return Array.isArray(value)
    ? value.filter((item): item is Artifact => typeof item === "object" && item !== null)
    : [];
}
