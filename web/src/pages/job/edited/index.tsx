/** `arkor.toml` was edited while a job runs: what changed, and the press with which the job continues with it. */
import { useEffect } from "preact/hooks";
import { useAttempt } from "../../../api/client";
import { pause } from "../../../api/stream-slots";
import type { Job, Trainer } from "../../../contract.gen";
import { ADJUSTABLE } from "../../../form.gen";
import { number } from "../../../lib/format";
import { displayName } from "../../../lib/text";
import { go } from "../../../router";
import { editedSettings } from "../../../store/edited-settings";
import { actOnJob, cancelJob } from "../../../store/jobs";
import { firstRead, followManifest, forgetEdits, manifest, trainerOfJob } from "../../../store/manifest";
import { liveRunOf, loadRuns } from "../../../store/runs";
import { changeWords } from "../../../store/trainer-changes";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { confirm } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { runTrainer } from "../../home/run-trainer";
import { unlessChanged } from "../header/unless-changed";
import "../notices/notices.css";

const TRIES = 100;
const TRY_MS = 300;

export function Edited({ job, step }: { job: Job; step: number | null }) {
  const { busy, error, attempt } = useAttempt();
  useEffect(followManifest, []);
  const trainer = trainerOfJob(job.name);
  if (!trainer?.config || manifest.value?.source !== "arkor.toml") return null;
  const { settings, changes, data } = editedSettings(job, trainer, firstRead(trainer.name));
  if (changes.length === 0) return null;
  const adjustable = !data && Object.keys(settings).every((field) => ADJUSTABLE.has(field));
  const adjust = async (): Promise<void> => {
    if (!(await unlessChanged("Continue", (force) => actOnJob(job.id, "adjust", { settings, ...force }))))
      return;
    forgetEdits();
    say("The job continues with the new settings");
  };
  return (
    <div class="job-notice job-notice-warn">
      <span role="status">
        <strong>arkor.toml changed:</strong> <bdi>{changeWords(changes)}</bdi>.
        {!adjustable && " A running job keeps its model, adapter, data and batches."}
      </span>
      <span class="job-notice-way">
        <Button
          small
          busy={busy}
          onClick={() => void attempt(adjustable ? adjust : () => runAgain(job, trainer))}
        >
          {adjustable
            ? `Continue from step ${number(step ?? 0)} with ${changes.length > 1 ? "them" : "it"}`
            : "Run again…"}
        </Button>
      </span>
      {error && <ErrorNote title="The job was not changed" error={error} />}
    </div>
  );
}

/** Cancels the job, waits for its command to end, and starts the trainer as it is now. */
async function runAgain(job: Job, trainer: Trainer): Promise<void> {
  const text =
    "Training ends at the current step; saved checkpoints are kept. Then it starts from the beginning.";
  const title = `Cancel ${displayName(job.name)} and run again?`;
  if (!(await confirm({ title, text, action: "Cancel and run again", danger: true }))) return;
  await cancelJob(job.id);
  for (let tries = 0; liveRunOf(trainer, manifest.peek()); tries += 1) {
    if (tries === TRIES)
      throw new Error("Its command has not ended yet. Press Run training on Home once it has.");
    await pause(TRY_MS);
    await loadRuns();
  }
  go("#/");
  await runTrainer(trainer, false);
}
