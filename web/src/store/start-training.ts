/** Starts a training run with exactly the settings shown on the page; after an edit, the new ones are shown first. */
import { ApiError } from "../api/client";
import type { Trainer, TrainRequest } from "../contract.gen";
import { forgetEdits, manifest, manifestError, reloadManifest, trainerNamed } from "./manifest";
import { startRun } from "./runs";
import { changesOf } from "./trainer-changes";

/**
 * `more` goes before the file: settings, a job to repeat, a checkpoint to begin from. Returns the run's id, or null when nothing was started because the project has changed since it was shown. Throws `ApiError`.
 * A project without a revision is built by its own command, so there is nothing to compare beforehand.
 */
export async function startTraining(
  trainer: Trainer,
  dryRun: boolean,
  more: Pick<TrainRequest, "settings" | "like" | "seeds" | "parent" | "on" | "data">,
): Promise<string | null> {
  if (manifest.peek()?.revision !== undefined) {
    await reloadManifest();
    if (manifestError.peek() !== null || differs(trainer)) return null;
  }
  const { revision } = manifest.peek() ?? {};
  try {
    const run = await startRun({
      trainer: trainer.name,
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

function differs(trainer: Trainer): boolean {
  const now = trainerNamed(trainer.name, manifest.peek());
  return now === undefined || now.problem !== trainer.problem || changesOf(trainer, now).length > 0;
}
