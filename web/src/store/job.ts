/** Makes a job of the contract's shape from whatever a backend has sent, so that no other code checks its fields. */
import type { Job } from "../contract.gen";
import { isObject } from "../lib/json";

const TEXTS = ["orgId", "projectId", "name", "status", "createdAt"] as const;

/** Whether another program runs the job and only reports it: there is nothing to pause, ask or export. */
export const isReported = (job: Job | undefined): boolean => job?.config?.reported === true;

/** Null for a value that is not a job, such as one without an id. A complete job is returned itself, not a copy. */
export function asJob(sent: unknown): Job | null {
  if (!isObject(sent) || typeof sent.id !== "string" || sent.id === "") return null;
  const { config, settings, error, notes, tags, starred } = sent;
  const hasError = typeof error === "string" || error === undefined || error === null;
  const hasSettings = settings === undefined || isObject(settings);
  const hasName =
    (notes === undefined || typeof notes === "string") &&
    (tags === undefined || (Array.isArray(tags) && tags.every((tag) => typeof tag === "string"))) &&
    (starred === undefined || typeof starred === "boolean");
  if (
    hasError &&
    hasSettings &&
    hasName &&
    isObject(config) &&
    TEXTS.every((key) => typeof sent[key] === "string")
  )
    return sent as unknown as Job;
  const job: Record<string, unknown> = {
    ...sent,
    config: isObject(config) ? config : {},
    error: hasError ? error : JSON.stringify(error),
  };
  if (!hasSettings) job.settings = undefined;
  if (!hasName) {
    job.notes = typeof notes === "string" ? notes : undefined;
    job.tags = Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : undefined;
    job.starred = starred === true;
  }
  for (const key of TEXTS) if (typeof job[key] !== "string") job[key] = "";
  return job as unknown as Job;
}
