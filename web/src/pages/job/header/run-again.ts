/** Running a job again: unchanged, changed in Home's form, or as a branch from one of its checkpoints. */
import { useState } from "preact/hooks";
import { errorText } from "../../../api/client";
import {
  type Job,
  type JobConfig,
  type RequestedParent,
  SETTINGS,
  type Trainer,
} from "../../../contract.gen";
import { number } from "../../../lib/format";
import { displayName } from "../../../lib/text";
import { go, href } from "../../../router";
import { loadManifest, manifest, manifestError, trainerOfJob } from "../../../store/manifest";
import { startTraining } from "../../../store/start-training";
import { type Changes, changesFor, DATA, draftParent, fillFrom } from "../../../store/trainer-draft";
import { say } from "../../../ui/controls/live";
import { confirm } from "../../../ui/dialog";
import { shownRun, startedRun } from "../../home/open-run";

/** A dry run is a switch next to the button, not a part of the form. */
const FIELDS = SETTINGS.map(({ field }) => field).filter((field) => field !== "dryRun");

interface Again {
  /** Fills the form with the job's requested settings; with a step, the run begins from that checkpoint. */
  change: (step?: number) => void;
  /** Starts the same job again. */
  repeat: () => void;
  /** Why the last attempt failed. */
  error: string | null;
}

export function useRunAgain(job: Job | undefined): Again {
  const [error, setError] = useState<string | null>(null);
  const withTrainer = async (job: Job, use: (trainer: Trainer) => Promise<void>): Promise<void> => {
    await loadManifest();
    const trainer = trainerOfJob(job.name);
    const trouble = manifestError.peek() ?? troubleOf(trainer, job.name);
    setError(trouble);
    if (trouble === null && trainer) await use(trainer).catch((fault: unknown) => setError(errorText(fault)));
  };
  return {
    change: (step) => void (job && withTrainer(job, (trainer) => change(job, trainer, step))),
    repeat: () => void (job && withTrainer(job, (trainer) => repeat(job, trainer))),
    error,
  };
}

interface Fill {
  /** Opens the form with the job's settings, or those of the first trainer, with `values` replacing some of them. */
  fill: (values: Changes, parent: RequestedParent | undefined, done: () => void) => void;
  /** Why the last attempt failed. */
  error: string | null;
}

export function useFill(job: Job | undefined): Fill {
  const [error, setError] = useState<string | null>(null);
  const fill = async (
    values: Changes,
    parent: RequestedParent | undefined,
    done: () => void,
  ): Promise<void> => {
    await loadManifest();
    const first = manifest.peek()?.trainers.find(({ config }) => config !== undefined);
    const trainer = job ? trainerOfJob(job.name) : first;
    const trouble = manifestError.peek() ?? troubleOf(trainer, job?.name ?? "");
    setError(trouble);
    if (trouble !== null || !trainer || (isChanged(trainer) && !(await mayReplace(trainer)))) return;
    // The method may be another one, and a setting that it does not have would keep the run from starting.
    const { ofMethod } = await import("../../home/form/check");
    const config = ofMethod({ ...(job?.config ?? trainer.config), ...values }) as unknown as JobConfig;
    fillFrom(trainer, { id: job?.id, config }, [...FIELDS, ...DATA], parent);
    done();
    go(homeOf(false, trainer));
  };
  return { fill: (...how) => void fill(...how).catch((fault: unknown) => setError(errorText(fault))), error };
}

const isChanged = (trainer: Trainer): boolean =>
  Object.keys(changesFor(trainer)).length > 0 || draftParent(trainer) !== undefined;

async function change(job: Job, trainer: Trainer, step: number | undefined): Promise<void> {
  if (isChanged(trainer) && !(await mayReplace(trainer))) return;
  fillFrom(trainer, job, FIELDS, step === undefined ? startOf(job) : { jobId: job.id, step });
  if (step !== undefined) say(`The next run starts from step ${number(step)} of ${displayName(job.name)}`);
  else if (Object.keys(changesFor(trainer)).length === 0) say("This job's settings match arkor.toml");
  go(homeOf(job.config.dryRun === true, trainer));
}

/** The checkpoint that the job itself started from. */
const startOf = ({ parent }: Job): RequestedParent | undefined =>
  parent && { jobId: parent.jobId, step: parent.step };

async function repeat(job: Job, trainer: Trainer): Promise<void> {
  const text =
    "Same settings, seed and data: on this machine the result is identical. Changes on Home stay as they are.";
  const title = `Run ${displayName(job.name)} again?`;
  if (!(await confirm({ title, text, action: "Run training" }))) return;
  const { askAboutNotices } = await import("../../home/data-question");
  await askAboutNotices();
  const run = await startTraining(trainer, job.config.dryRun === true, { like: job.id });
  if (run === null) throw new Error("The project was edited a moment ago. Try again.");
  shownRun.value = startedRun.value = run;
  say("Training started");
  go(homeOf(job.config.dryRun === true, trainer));
}

function homeOf(dry: boolean, trainer: Trainer): string {
  const first = manifest.peek()?.trainers[0]?.name === trainer.name;
  return href("/", { trainer: first ? null : trainer.name, dry: dry ? 1 : null });
}

function troubleOf(trainer: Trainer | undefined, name: string): string | null {
  if (manifest.peek()?.source === "typescript")
    return "This project has its settings in its own code: change them there, then press Run training on Home.";
  if (!trainer)
    return `There is no trainer ${displayName(name)} in arkor.toml, so there is no form to fill in.`;
  return trainer.config ? null : (trainer.problem ?? "This trainer lists no settings.");
}

function mayReplace({ name }: Trainer): Promise<boolean> {
  return confirm({
    title: "Replace the changes on Home?",
    text: `${displayName(name)} has changes that are not in arkor.toml. This job's settings take their place.`,
    action: "Replace",
  });
}
