/** "Run training", from its button and from anywhere: what runs was shown, and a second one was asked for. */
import { signal } from "@preact/signals";
import { errorText } from "../../api/client";
import type { Trainer } from "../../contract.gen";
import { summary } from "../../lib/job-config-text";
import { displayName } from "../../lib/text";
import { go, jobHref } from "../../router";
import { isOver, jobs } from "../../store/jobs";
import { loadManifest, manifest, manifestError } from "../../store/manifest";
import { isLive, liveRunOf, loadRuns, runs } from "../../store/runs";
import { startTraining } from "../../store/start-training";
import { announce, confirm } from "../../ui";
import { shownRun, startedRun } from "./open-run";

export const starting = signal(false);

/** Why the last press started nothing. */
export const startError = signal<string | null>(null);

/** The last press has found other settings than it was to run: they are shown now, and wait for another press. */
export const editedMeanwhile = signal(false);

export function clearStartError(): void {
  startError.value = null;
  editedMeanwhile.value = false;
}

export async function runTrainer(trainer: Trainer, dryRun: boolean): Promise<void> {
  if (starting.peek() || trainer.problem !== undefined) return;
  starting.value = true;
  clearStartError();
  try {
    const run = await startTraining(trainer, dryRun);
    editedMeanwhile.value = run === null;
    if (run === null) announce("The project has changed. Look at the settings, then press again.");
    else {
      shownRun.value = startedRun.value = run;
      announce("Training started");
    }
  } catch (problem) {
    startError.value = errorText(problem);
  } finally {
    starting.value = false;
  }
}

/** As `press`, but a training that goes on is named first. */
export async function confirmAndRun(trainer: Trainer, dryRun: boolean): Promise<void> {
  await loadRuns();
  if (await confirmSecond(trainer)) await runTrainer(trainer, dryRun);
}

/** From a page that shows no trainer: what would run is read and said first. */
export async function runFromAnyPage(): Promise<void> {
  await Promise.all([loadManifest(), loadRuns()]);
  const known = manifest.peek();
  const trainer = known?.trainers.find(({ problem }) => problem === undefined);
  // What is missing or wrong is said on Home.
  if (!known || !trainer || manifestError.peek() !== null) return go("#/");
  const others = known.trainers.length > 1 ? " Home has the project's other trainers." : "";
  const sure =
    runningNames().length > 0
      ? await confirmSecond(trainer)
      : await confirm({
          title: `Run ${displayName(trainer.name)}?`,
          text: `${lineOf(trainer)}.${others}`,
          action: "Run training",
        });
  if (!sure) return;
  go("#/");
  await runTrainer(trainer, false);
}

/** What goes on now, by the names that people know it by: commands of this launch, and jobs that others started. */
function runningNames(): string[] {
  const live = (runs.peek() ?? []).filter(isLive);
  const own = new Set(live.map(({ jobId }) => jobId));
  const others = jobs.peek().filter((job) => !isOver(job) && !own.has(job.id));
  return [
    ...live.map(({ trainer, file }) => trainer ?? file ?? "A training"),
    ...others.map(({ name }) => name),
  ].map(displayName);
}

async function confirmSecond(trainer: Trainer): Promise<boolean> {
  const [first, ...more] = runningNames();
  if (first === undefined) return true;
  const name = displayName(trainer.name);
  const same = liveRunOf(trainer, manifest.peek());
  if (same) {
    const text = "A trainer runs once at a time: wait for its end, or cancel its job.";
    if (await confirm({ title: `${name} is running already`, text, action: "Show it" }))
      go(same.jobId ? jobHref(same.jobId) : "#/");
    return false;
  }
  const what = more.length > 0 ? `${first} and ${more.length} more are` : `${first} is`;
  return confirm({
    title: `Run ${name} as well?`,
    text: `${what} not done yet, so this one may have to wait. ${lineOf(trainer)}.`,
    action: "Run training",
  });
}

function lineOf(trainer: Trainer): string {
  return trainer.config ? summary(trainer.config, trainer.rows) : "Its settings are in its code";
}
