/** An endpoint as shown on the page: its target, and the values that the backend accepts. Pure. */

import type { Target } from "../../chat/model/types";
import type { AnsweredBy, Deployment, DeploymentTarget } from "../../contract.gen";

const MIN_SLUG = 2;
export const MAX_SLUG = 50;
export const MAX_LABEL = 80;
/** The managed backend's default retention. */
export const DEFAULT_DAYS = 7;

export type AuthMode = Deployment["authMode"];
export type Engine = NonNullable<Deployment["engine"]>;
export type RetentionMode = "days" | "unlimited" | "disabled";

/** Sends `days` only with the mode of that name: the backend refuses anything else. */
export interface Retention {
  runRetentionMode: RetentionMode;
  runRetentionDays?: number;
}

/** The error for a slug's field; null if it is valid. */
export function slugTrouble(slug: string): string | null {
  if (slug.length < MIN_SLUG) return `At least ${MIN_SLUG} characters.`;
  if (slug.length > MAX_SLUG) return `At most ${MAX_SLUG} characters; these are ${slug.length}.`;
  if (/[A-Z]/u.test(slug)) return "Lower case only.";
  if (!/^[a-z0-9-]+$/u.test(slug)) return "Only a to z, 0 to 9 and dashes.";
  return slug.startsWith("-") || slug.endsWith("-") ? "No dash at either end." : null;
}

/** A slug derived from a name; empty if none of its characters is allowed. */
export function slugOf(name: string): string {
  const slug = name
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/gu, "-")
    .slice(0, MAX_SLUG)
    .replace(/^-+|-+$/gu, "");
  return slug.length < MIN_SLUG ? "" : slug;
}

export function labelTrouble(label: string): string | null {
  const length = label.trim().length;
  return length === 0
    ? "A key needs a label."
    : length > MAX_LABEL
      ? `At most ${MAX_LABEL} characters; these are ${length}.`
      : null;
}

export function toWire(target: Target): DeploymentTarget {
  if (target.kind === "base") return { kind: "base_model", baseModel: target.model };
  return {
    kind: "adapter",
    adapter:
      target.kind === "final"
        ? { kind: "final", jobId: target.jobId }
        : { kind: "checkpoint", jobId: target.jobId, step: target.step },
  };
}

/** The target, or null for a kind that the page does not know. */
export function fromWire(wire: DeploymentTarget | null | undefined): Target | null {
  if (wire?.kind === "base_model" && wire.baseModel) return { kind: "base", model: wire.baseModel };
  const adapter = wire?.kind === "adapter" ? wire.adapter : undefined;
  if (adapter?.kind === "final") return { kind: "final", jobId: adapter.jobId };
  if (adapter?.kind === "checkpoint" && adapter.step !== undefined)
    return { kind: "checkpoint", jobId: adapter.jobId, step: adapter.step };
  return null;
}

export function retentionBody(mode: RetentionMode, days: number): Retention {
  return mode === "days" ? { runRetentionMode: "days", runRetentionDays: days } : { runRetentionMode: mode };
}

export const daysTrouble = (days: number): string | null =>
  Number.isInteger(days) && days >= 1 ? null : "A whole number of days, 1 or more.";

/** The retention of chats as text; an unknown mode is shown unchanged. */
export function retentionWords(mode: string | null | undefined, days: number | null | undefined): string {
  if (mode === "days") return days === 1 ? "1 day" : `${days ?? DEFAULT_DAYS} days`;
  if (mode === "unlimited") return "Forever";
  if (mode === "disabled") return "Not at all";
  return mode ? mode : `The backend’s default (${DEFAULT_DAYS} days)`;
}

/** The engine of an endpoint's answers as text: the one that has answered, or the one that will. */
export function engineWords(engine: Engine, by: AnsweredBy | null | undefined): string {
  if (!by)
    return engine === "auto"
      ? "Automatic: the first answer decides"
      : engine === "exact"
        ? "transformers"
        : engine;
  const weights = by.weights === undefined ? "" : `, weights ${by.weights}`;
  return `${by.engine}, ${by.precision}${weights}`;
}
