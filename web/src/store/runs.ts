/** The training commands started by this launch of Studio. */
import { signal } from "@preact/signals";
import { ApiError, api, request } from "../api/client";
import type { Manifest, Trainer, TrainingRun, TrainRequest } from "../contract.gen";

/** Newest first; null until loaded. */
export const runs = signal<readonly TrainingRun[] | null>(null);

export async function loadRuns(): Promise<void> {
  try {
    runs.value = (await api<{ runs: TrainingRun[] }>("/train")).runs;
  } catch (error) {
    if (error instanceof ApiError && error.status !== 0) runs.value ??= [];
  }
}

export function isLive(run: TrainingRun): boolean {
  return run.state !== "ended";
}

/** The trainer's running command; a command without a trainer runs the project's only one. */
export function liveRunOf(trainer: Trainer, known: Manifest | null): TrainingRun | undefined {
  return runs.value?.find((run) => isLive(run) && (run.trainer ?? known?.trainer?.name) === trainer.name);
}

/**
 * Starts the command and returns its run's id. The response streams the output; it is closed immediately, because the output
 * is read by the run's id, in the same way as after a reload.
 */
export async function startRun(body: TrainRequest): Promise<string> {
  try {
    const response = await request("/train", { method: "POST", body });
    const id = response.headers.get("X-Arkor-Run") ?? "";
    await response.body?.cancel();
    await loadRuns();
    return id;
  } catch (error) {
    // The same trainer is running already, perhaps started in another tab: show that run.
    if (error instanceof ApiError && error.status === 409 && typeof error.extra.run === "string") {
      await loadRuns();
      return error.extra.run;
    }
    throw error;
  }
}

export async function stopRun(id: string): Promise<void> {
  await api(`/train/${encodeURIComponent(id)}/stop`, { method: "POST" });
  await loadRuns();
}
