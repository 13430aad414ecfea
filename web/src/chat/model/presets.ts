/** Named sampling presets, built in and custom, and the bounds of each parameter. */
import type { Params } from "./types";

export interface Preset {
  name: string;
  /** Its purpose. */
  hint: string;
  params: Params;
  /** Custom presets include a system prompt; built-in ones leave it unchanged. */
  system?: string;
}

export const BUILT_IN: readonly Preset[] = [
  {
    name: "Steady",
    hint: "Always the most likely token, for comparisons",
    params: { temperature: 0, topP: 1, maxTokens: 256 },
  },
  { name: "Balanced", hint: "Some variety", params: { temperature: 0.7, topP: 0.9, maxTokens: 512 } },
  { name: "Free", hint: "Much variety", params: { temperature: 1.1, topP: 0.95, maxTokens: 1024 } },
];

export const DEFAULT_PARAMS: Params = BUILT_IN[1]!.params;

interface Bound {
  min: number;
  max: number;
  step: number;
}

export const BOUNDS: Readonly<Record<keyof Params, Bound>> = {
  temperature: { min: 0, max: 2, step: 0.05 },
  topP: { min: 0.05, max: 1, step: 0.05 },
  maxTokens: { min: 1, max: 8192, step: 1 },
};

/** `value` within its bounds, or the default if it is not a number. */
export function bounded(name: keyof Params, value: unknown): number {
  const { min, max, step } = BOUNDS[name];
  if (typeof value !== "number" || !Number.isFinite(value)) return DEFAULT_PARAMS[name];
  const clamped = Math.min(max, Math.max(min, value));
  return step === 1 ? Math.round(clamped) : Math.round(clamped * 1000) / 1000;
}

/** The preset with exactly these values, or null. */
export function presetOf(presets: readonly Preset[], params: Params, system: string): Preset | null {
  const same = ({ params: own, system: prompt }: Preset): boolean =>
    own.temperature === params.temperature &&
    own.topP === params.topP &&
    own.maxTokens === params.maxTokens &&
    (prompt ?? system) === system;
  // Custom presets come first: they are more specific.
  return presets.findLast(same) ?? null;
}

export const MAX_OWN = 20;
export const MAX_NAME = 40;
const MAX_SYSTEM = 20_000;

/** Presets as any version of the page may have stored them. */
export function readOwn(stored: readonly { name: string; params?: unknown; system?: unknown }[]): Preset[] {
  return stored
    .map(({ name, params, system }) =>
      ownPreset(name, params ?? {}, typeof system === "string" ? system : ""),
    )
    .slice(0, MAX_OWN);
}

export function ownPreset(
  name: string,
  params: { [name in keyof Params]?: unknown },
  system: string,
): Preset {
  return {
    name: name.trim().slice(0, MAX_NAME),
    hint: system === "" ? "Settings of your own" : "Settings and system prompt of your own",
    params: {
      temperature: bounded("temperature", params.temperature),
      topP: bounded("topP", params.topP),
      maxTokens: bounded("maxTokens", params.maxTokens),
    },
    system: system.slice(0, MAX_SYSTEM),
  };
}

/** The list with `preset` in it, replacing one of the same name; the oldest is dropped if there are too many. */
export const withPreset = (list: readonly Preset[], preset: Preset): Preset[] =>
  [...list.filter((own) => own.name !== preset.name), preset].slice(-MAX_OWN);
