/** "Run again with changes": Home's form, filled with what a job was asked to do. */
import { useState } from "preact/hooks";
import { type Job, SETTINGS, type Trainer } from "../../contract.gen";
import { displayName } from "../../lib/text";
import { go, href } from "../../router";
import { loadManifest, manifest, manifestError, trainerNamed } from "../../store/manifest";
import { changesFor, fillFrom } from "../../store/trainer-draft";
import { confirm, say } from "../../ui";

/** A dry run is a switch beside the button, not a part of the form. */
const FIELDS = SETTINGS.map(({ field }) => field).filter((field) => field !== "dryRun");

/** What to do, and why it could not be done the last time. */
export function useRunAgain(job: Job | undefined): { run: () => void; error: string | null } {
  const [error, setError] = useState<string | null>(null);
  const run = async (): Promise<void> => {
    if (!job) return;
    await loadManifest();
    const trainer = trainerNamed(job.name);
    const trouble = manifestError.peek() ?? troubleOf(trainer, job.name);
    setError(trouble);
    if (trouble !== null || !trainer) return;
    if (Object.keys(changesFor(trainer)).length > 0 && !(await mayReplace(trainer))) return;
    fillFrom(trainer, job, FIELDS);
    if (Object.keys(changesFor(trainer)).length === 0) say("The job had the settings that arkor.toml has");
    const first = manifest.peek()?.trainers[0]?.name === trainer.name;
    go(href("/", { trainer: first ? null : trainer.name, dry: job.config.dryRun === true ? 1 : null }));
  };
  return { run: () => void run(), error };
}

function troubleOf(trainer: Trainer | undefined, name: string): string | null {
  if (manifest.peek()?.source === "typescript")
    return "This project has its settings in its own code: change them there, then press Run training on Home.";
  if (!trainer)
    return `There is no trainer ${displayName(name)} in arkor.toml any more, so there is no form to fill in.`;
  return trainer.config ? null : (trainer.problem ?? "This trainer lists no settings.");
}

function mayReplace({ name }: Trainer): Promise<boolean> {
  return confirm({
    title: "Replace the changes on Home?",
    text: `${displayName(name)} has changes that are not in arkor.toml. This job's settings take their place.`,
    action: "Replace",
  });
}
