/** Adapter strength: from 0 (the base answers) to 1.5; 1 is the trained adapter. */
import type { Job } from "../contract.gen";
import type { AdapterTarget, Target } from "./model/types";

export const MOST_STRENGTH = 1.5;
export const FEATURE = "strength";

/** The strength in a stored or linked target, if valid. */
export function strengthOf(target: Target): number {
  if (target.kind === "base") return 1;
  const { strength } = target;
  return typeof strength === "number" && strength >= 0 && strength <= MOST_STRENGTH ? strength : 1;
}

/** The same target with another strength, rounded to the hundredth so that a percentage is exact. */
export function withStrength(target: AdapterTarget, strength: number): AdapterTarget {
  const { strength: _, ...rest } = target;
  const bounded = Math.round(100 * Math.min(MOST_STRENGTH, Math.max(0, strength))) / 100;
  return bounded === 1 ? rest : { ...rest, strength: bounded };
}

/** Formats a strength: `50 %`. */
export const percent = (strength: number): string => `${Math.round(100 * strength)} %`;

/** Why the target's adapter applies fully or not at all, according to its job; null if its strength can be set. */
export function noStrength(target: AdapterTarget, jobs: readonly Job[]): string | null {
  const config = jobs.find(({ id }) => id === target.jobId)?.config as Record<string, unknown> | undefined;
  if (config?.fullFineTuning === true) return "The whole model was trained, so there is no adapter strength.";
  if (config?.useDora === true) return "The strength of a DoRA adapter can't be set.";
  if (Array.isArray(config?.loraModulesToSave) && config.loraModulesToSave.length > 0)
    return "This adapter trained some layers in full, so its strength can't be set.";
  return null;
}

/** The target as the backend supports it: at full strength if others are impossible. */
export const answerable = (target: Target, features: ReadonlySet<string>, jobs: readonly Job[]): Target =>
  target.kind !== "base" && (!features.has(FEATURE) || noStrength(target, jobs) !== null)
    ? withStrength(target, 1)
    : target;
