/** "Run training", from its button and from any page: runs the displayed trainer, and asks before a second run. */
import { signal } from "@preact/signals";
import { errorText } from "../../api/client";
import type { Trainer } from "../../contract.gen";
import { plural } from "../../lib/format";
import { summary } from "../../lib/job-config-text";
import { displayName } from "../../lib/text";
import { go, jobHref } from "../../router";
import { isOver, jobs } from "../../store/jobs";
import { loadManifest, manifest, manifestError } from "../../store/manifest";
import { isLive, liveRunOf, loadRuns, runs } from "../../store/runs";
import { startTraining } from "../../store/start-training";
import { changesFor, drafted, draftRequest } from "../../store/trainer-draft";
import { announce } from "../../ui/controls/live";
import { confirm } from "../../ui/dialog";
import { pressedRun, shownRun, startedRun } from "./open-run";

export const starting = signal(false);

/** Why the last attempt started nothing. */
export const startError = signal<string | null>(null);

/** The settings had been edited before the last attempt: the new ones are shown now, and another press runs them. */
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
    const { askAboutData, askAboutNotices } = await import("./data-question");
    const decided = await askAboutData(trainer, changesFor(trainer));
    if (decided === null) return;
    await askAboutNotices();
    const run = await startTraining(trainer, dryRun, draftRequest(trainer, decided));
    editedMeanwhile.value = run === null;
    if (run === null) announce("arkor.toml changed. Review the settings, then run again.");
    else {
      shownRun.value = startedRun.value = pressedRun.value = run;
      announce("Training started");
    }
  } catch (problem) {
    startError.value = errorText(problem);
  } finally {
    starting.value = false;
  }
}

/** Like `runTrainer`, but asks first while another training runs. */
export async function confirmAndRun(trainer: Trainer, dryRun: boolean): Promise<void> {
  await loadRuns();
  if (await confirmSecond(trainer)) await runTrainer(trainer, dryRun);
}

/** From a page without a trainer: loads it and asks first. */
export async function runFromAnyPage(): Promise<void> {
  await Promise.all([loadManifest(), loadRuns()]);
  const known = manifest.peek();
  const trainer = known?.trainers.find(({ problem }) => problem === undefined);
  // Home shows what is missing or wrong.
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

/** The names of what runs now: commands of this launch, and other jobs. */
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
    const text = "A trainer runs one job at a time. Wait for it to finish, or cancel it.";
    if (await confirm({ title: `${name} is already running`, text, action: "Open job" }))
      go(same.jobId ? jobHref(same.jobId) : "#/");
    return false;
  }
  const what = more.length > 0 ? `${first} and ${more.length} more are` : `${first} is`;
  return confirm({
    title: `Run ${name} as well?`,
    text: `${what} still running or queued, so this one may have to wait. ${lineOf(trainer)}.`,
    action: "Run training",
  });
}

function lineOf(trainer: Trainer): string {
  const { config, rows } = drafted(trainer);
  if (!config) return "Its settings are in its code";
  const count = Object.keys(changesFor(trainer)).length;
  return `${summary(config, rows)}${count > 0 ? ` · ${plural(count, "change")} not in arkor.toml` : ""}`;
}
