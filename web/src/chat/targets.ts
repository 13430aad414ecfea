/** Possible targets: base models, final adapters and checkpoints; their names, and their form in the URL. */
import type { Job, Manifest } from "../contract.gen";
import { bestStep } from "../lib/best-step";
import { modelName } from "../lib/format";
import { displayName } from "../lib/text";
import { isReported } from "../store/job";
import type { AdapterTarget, Conversation, Target } from "./model/types";
import { MOST_STRENGTH, percent, strengthOf, withStrength } from "./strength";

/** A target as one string, for URLs, options and comparisons: `final:j1`, or `final*0.5:j1` at half strength. */
export function targetKey(target: Target): string {
  if (target.kind === "base") return `base:${target.model}`;
  const strength = strengthOf(target);
  const kind = strength === 1 ? target.kind : `${target.kind}*${strength}`;
  return target.kind === "final" ? `${kind}:${target.jobId}` : `${kind}:${target.jobId}:${target.step}`;
}

const STEP = /^\d{1,15}$/u;

export function parseTarget(key: string): Target | null {
  const [, kind, part, rest = ""] =
    /^(base(?!\*)|final|checkpoint)(?:\*(\d(?:\.\d{1,2})?))?:(.+)$/su.exec(key) ?? [];
  if (kind === "base") return { kind, model: rest };
  const target = kind === "final" ? ({ kind, jobId: rest } as const) : parseCheckpoint(rest);
  const strength = Number(part ?? 1);
  return target && strength <= MOST_STRENGTH ? withStrength(target, strength) : target;
}

function parseCheckpoint(text: string): AdapterTarget | null {
  const colon = text.lastIndexOf(":");
  const step = text.slice(colon + 1);
  return colon > 0 && STEP.test(step)
    ? { kind: "checkpoint", jobId: text.slice(0, colon), step: Number(step) }
    : null;
}

export const sameTarget = (a: Target, b: Target): boolean => targetKey(a) === targetKey(b);

/** The targets that a link names: `target` and `against`, or the short forms `job` and `step`. */
export function targetsOfQuery(query: URLSearchParams): Target[] {
  const job = query.get("job");
  const step = query.get("step") ?? "";
  let first = parseTarget(query.get("target") ?? "");
  if (!first && job)
    first = STEP.test(step)
      ? { kind: "checkpoint", jobId: job, step: Number(step) }
      : { kind: "final", jobId: job };
  const second = parseTarget(query.get("against") ?? "");
  return first ? (second ? [first, second] : [first]) : [];
}

/** The query for these targets, which clears all other ways to name them. */
export function queryOfTargets(
  targets: readonly Target[],
): Record<"target" | "against" | "job" | "step", string | null> {
  const [first, second] = targets;
  return {
    target: first ? targetKey(first) : null,
    against: second ? targetKey(second) : null,
    job: null,
    step: null,
  };
}

interface TargetName {
  /** `SmolLM2-135M`, or the job's name. */
  name: string;
  /** `base model`, `final adapter`, `step 20 at 50 %`. */
  part: string;
}

export function nameTarget(target: Target, jobs: readonly Job[]): TargetName {
  if (target.kind === "base") return { name: modelName(target.model), part: "base model" };
  const job = jobs.find((candidate) => candidate.id === target.jobId);
  const best = target.kind === "checkpoint" && target.step === bestStep(job) ? ", the best" : "";
  const part = target.kind === "final" ? "final adapter" : `step ${target.step}${best}`;
  const strength = strengthOf(target);
  return {
    name: displayName(job?.name || target.jobId),
    part: strength === 1 ? part : `${part} at ${percent(strength)}`,
  };
}

export const fullName = (target: Target, jobs: readonly Job[]): string => {
  const { name, part } = nameTarget(target, jobs);
  return `${name} · ${part}`;
};

/** The base models of the project's trainers and jobs, trainers first, newest jobs next; then those of the backend. */
export function baseModels(
  jobs: readonly Job[],
  manifest: Manifest | null,
  served: readonly string[] | null,
): string[] {
  const models = [
    ...(manifest?.trainers ?? []).map((trainer) => trainer.config?.model),
    ...jobs.filter((job) => !isReported(job)).map((job) => job.config?.model),
    ...(served ?? []),
  ];
  return [...new Set(models.filter((model) => typeof model === "string" && model.trim() !== ""))] as string[];
}

/** Jobs that have, or may have, an adapter to chat with: done, or far enough for checkpoints. */
export const adapterJobs = (jobs: readonly Job[]): Job[] =>
  jobs.filter((job) => job.status !== "queued" && !isReported(job));

/** A finished job's model: its final adapter, unless a checkpoint is significantly better. */
export function answerOf(job: Job): Target {
  const step = bestStep(job);
  return step === null ? { kind: "final", jobId: job.id } : { kind: "checkpoint", jobId: job.id, step };
}

/** The newest finished adapter. */
export function newestAdapter(jobs: readonly Job[]): Target | null {
  const done = jobs
    .filter((job) => job.status === "completed" && !isReported(job))
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))[0];
  return done ? answerOf(done) : null;
}

/** The newest finished adapter, else the first base model known. */
export function defaultTarget(jobs: readonly Job[], models: readonly string[]): Target | null {
  return newestAdapter(jobs) ?? (models[0] === undefined ? null : { kind: "base", model: models[0] });
}

/** Two targets from left to right: the model before training, then the result. */
export const inOrder = (first: Target, other: Target): [Target, Target] =>
  other.kind === "base" && first.kind !== "base" ? [other, first] : [first, other];

/** The two sides of a new comparison: base on the left, adapter on the right, or `checkpoint` if there is no adapter. */
export function comparePair(
  target: Target,
  jobs: readonly Job[],
  models: readonly string[],
  checkpoint: Target | null = null,
): [Target, Target] | null {
  if (target.kind !== "base") {
    const model = jobs.find((job) => job.id === target.jobId)?.config?.model ?? models[0];
    return model === undefined ? null : [{ kind: "base", model }, target];
  }
  const trained = jobs.filter((job) => job.config?.model === target.model);
  const other = newestAdapter(trained) ?? newestAdapter(jobs) ?? checkpoint;
  if (other) return [target, other];
  const model = models.find((candidate) => candidate !== target.model);
  return model === undefined ? null : [target, { kind: "base", model }];
}

/** What another page passes to the playground: an open conversation, and a question that is asked at once. */
export interface Handed {
  conversation: OpenConversation & Partial<Conversation>;
  question?: string;
}

export type OpenConversation = Pick<Conversation, "system" | "targets" | "turns" | "leaf">;

let handed: Handed | null = null;

/** Not a part of the address: a link from elsewhere must not make a model answer. */
export function handOver(passed: Handed): void {
  handed = passed;
}

/** The passed state, once. */
export function takeHanded(): Handed | null {
  const target = handed;
  handed = null;
  return target;
}
