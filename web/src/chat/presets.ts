/** Named ways to sample, and the bounds of each parameter. */
import type { Params } from "./types";

export interface Preset {
  name: string;
  /** What it is for. */
  hint: string;
  params: Params;
}

export const PRESETS: readonly Preset[] = [
  { name: "Steady", hint: "The likeliest word each time: for comparing", params: { temperature: 0, topP: 1, maxTokens: 256 } },
  { name: "Balanced", hint: "Some variety", params: { temperature: 0.7, topP: 0.9, maxTokens: 512 } },
  { name: "Free", hint: "Much variety", params: { temperature: 1.1, topP: 0.95, maxTokens: 1024 } },
];

export const DEFAULT_PARAMS: Params = PRESETS[1]!.params;

export interface Bound {
  min: number;
  max: number;
  step: number;
}

export const BOUNDS: Readonly<Record<keyof Params, Bound>> = {
  temperature: { min: 0, max: 2, step: 0.05 },
  topP: { min: 0.05, max: 1, step: 0.05 },
  maxTokens: { min: 1, max: 8192, step: 1 },
};

/** `value` within its bounds; what is no number is the default. */
export function bounded(name: keyof Params, value: number): number {
  const { min, max, step } = BOUNDS[name];
  if (!Number.isFinite(value)) return DEFAULT_PARAMS[name];
  const clamped = Math.min(max, Math.max(min, value));
  return step === 1 ? Math.round(clamped) : Math.round(clamped * 1000) / 1000;
}

export function presetOf(params: Params): Preset | null {
  return (
    PRESETS.find(({ params: own }) => own.temperature === params.temperature && own.topP === params.topP && own.maxTokens === params.maxTokens) ?? null
  );
}
