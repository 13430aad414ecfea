/**
 * Converts a backend's untrusted value to a job of the contract's shape, so that no other code has to check its fields.
 */
import type { Job } from "../contract.gen";
import { isObject } from "../lib/json";

const TEXTS = ["orgId", "projectId", "name", "status", "createdAt"] as const;

/** Null for an invalid value, such as one without an id. A complete job is returned unchanged, not copied. */
export function asJob(sent: unknown): Job | null {
  if (!isObject(sent) || typeof sent.id !== "string" || sent.id === "") return null;
  const { config, settings, error, notes, tags, starred } = sent;
  const told = typeof error === "string" || error === undefined || error === null;
  const known = settings === undefined || isObject(settings);
  const said =
    (notes === undefined || typeof notes === "string") &&
    (tags === undefined || (Array.isArray(tags) && tags.every((tag) => typeof tag === "string"))) &&
    (starred === undefined || typeof starred === "boolean");
  if (told && known && said && isObject(config) && TEXTS.every((key) => typeof sent[key] === "string"))
    return sent as unknown as Job;
  const job: Record<string, unknown> = {
    ...sent,
    config: isObject(config) ? config : {},
    error: told ? error : JSON.stringify(error),
  };
  if (!known) job.settings = undefined;
  if (!said) {
    job.notes = typeof notes === "string" ? notes : undefined;
    job.tags = Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : undefined;
    job.starred = starred === true;
  }
  for (const key of TEXTS) if (typeof job[key] !== "string") job[key] = "";
  return job as unknown as Job;
}
