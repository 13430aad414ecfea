/** The backend's optional features: a page whose feature is missing is not in the navigation. */
import { signal } from "@preact/signals";
import { api } from "../api/client";
import { connection } from "../api/connection";
import type { Capabilities, TrainingMethod } from "../contract.gen";
import { isObject } from "../lib/json";
import { FEATURES, readStored, writeStored } from "../lib/storage";
import { askWhenever } from "./ask-whenever";
import { jobs, jobsState } from "./jobs";

/** Until the backend has responded, those last reported to this tab, so that links do not appear and disappear. */
export const features = signal<ReadonlySet<string>>(new Set(readStored(FEATURES)));

/** The base models that the backend can answer with in any project, its default first; null until known. */
export const served = signal<readonly string[] | null>(null);

/** The backend's training methods; without a list it has one, which needs no name. */
export const methods = signal<readonly TrainingMethod[]>([]);

let settled = false;

/** Requests them after the jobs, which come first, and again when a new project has its first job. */
export function loadFeatures(): void {
  askWhenever(() => {
    const ready = jobsState.value.loaded && connection.value === "live";
    void jobs.value.length;
    return ready && !settled;
  }, ask);
}

async function ask(): Promise<void> {
  try {
    const capabilities = await api<Capabilities>("/capabilities");
    const known = new Set(texts(capabilities.features));
    served.value = texts(capabilities.baseModels);
    methods.value = listed(capabilities.methods);
    settled = known.has("endpoints") || (await asksForEndpoints(known));
    features.value = known;
    writeStored(FEATURES, [...known]);
  } catch {
    // Keeps the known ones; the next change of the connection requests them again.
    served.value ??= [];
  }
}

const listed = (list: unknown): TrainingMethod[] =>
  (Array.isArray(list) ? list : []).filter(
    (item): item is TrainingMethod =>
      isObject(item) && typeof item.name === "string" && typeof item.label === "string",
  );

function texts(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === "string" && item !== "") : [];
}

/** The managed backend has endpoints without listing them. True if final: no project, no endpoints. */
async function asksForEndpoints(known: Set<string>): Promise<boolean> {
  const { unsupported, scopeMissing } = await api<{ unsupported?: boolean; scopeMissing?: boolean }>(
    "/deployments",
  );
  if (!unsupported && !scopeMissing) known.add("endpoints");
  return !scopeMissing;
}
