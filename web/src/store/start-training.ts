/** Starts a training with exactly the settings shown on the page; after an edit, the new ones are shown first. */
import { ApiError } from "../api/client";
import type { Trainer, TrainRequest } from "../contract.gen";
import { forgetEdits, manifest, manifestError, reloadManifest, trainerNamed } from "./manifest";
import { startRun } from "./runs";
import { changesOf } from "./trainer-changes";

/**
 * `more` overrides the file: settings, a job to repeat, a checkpoint to start from. The run's id, or null if nothing
 * was started because the project has changed. Throws `ApiError`. A project without a revision is built by its command,
 * so there is nothing to compare before.
 */
export async function startTraining(
  shown: Trainer,
  dryRun: boolean,
  more: Pick<TrainRequest, "settings" | "like" | "seeds" | "parent" | "on">,
): Promise<string | null> {
  if (manifest.peek()?.revision !== undefined) {
    await reloadManifest();
    if (manifestError.peek() !== null || differs(shown)) return null;
  }
  const { revision } = manifest.peek() ?? {};
  try {
    const run = await startRun({
      trainer: shown.name,
      ...(revision === undefined ? {} : { revision }),
      dryRun,
      ...more,
    });
    forgetEdits();
    return run;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409 || revision === undefined) throw error;
    // The project was just edited: the daemon has refused the old revision.
    await reloadManifest();
    if (manifest.peek()?.revision === revision && manifestError.peek() === null) throw error;
    return null;
  }
}

function differs(shown: Trainer): boolean {
  const now = trainerNamed(shown.name, manifest.peek());
  return now === undefined || now.problem !== shown.problem || changesOf(shown, now).length > 0;
}
