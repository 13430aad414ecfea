import { useEffect, useState } from "preact/hooks";
import { errorText } from "../../api";
import { settings, summary } from "../../config";
import type { Manifest, Trainer, TrainingRun } from "../../contract.gen";
import { number } from "../../format";
import { jobHref, route, setQuery } from "../../router";
import { jobById } from "../../store/jobs";
import { isLive, runs, startRun } from "../../store/runs";
import { displayName } from "../../text";
import { announce, Button, Chips, ErrorNote, StatusDot, Switch, useActions } from "../../ui";
import { foundJob, openRun, shownRun, startedRun } from "./shown";

const CHIPS_AT_MOST = 6;

/** The one in the address, else the first. */
function chosenTrainer(known: Manifest): Trainer | undefined {
  const wanted = route.value.query.get("trainer");
  return known.trainers.find(({ name }) => name === wanted) ?? known.trainers[0];
}

/** The trainer that is chosen, what it will do, and the button. */
export function TrainerPanel({ known }: { known: Manifest }) {
  const trainer = chosenTrainer(known);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  // A TypeScript trainer says in its own code whether it is a dry run.
  const dryRun = known.source !== "typescript" && route.value.query.get("dry") === "1";
  useEffect(() => setError(null), [trainer?.name]);
  const live = runs.value?.find((run) => isLive(run) && (run.trainer ?? known.trainer?.name) === trainer?.name);

  const run = async (): Promise<void> => {
    if (!trainer || busy || live) return;
    setBusy(true);
    setError(null);
    try {
      const id = await startRun({ trainer: trainer.name, dryRun });
      shownRun.value = startedRun.value = id;
      announce("Training started");
    } catch (problem) {
      setError(errorText(problem));
    } finally {
      setBusy(false);
    }
  };
  useActions([{ id: "train", label: dryRun ? "Run training (dry run)" : "Run training", run: () => void run() }], [dryRun]);
  if (!trainer) return null;
  return (
    <>
      <Choice trainers={known.trainers} chosen={trainer.name} />
      <h1 tabIndex={-1} class="home-name">
        <bdi>{displayName(trainer.name)}</bdi>
      </h1>
      <p class="home-line">{lineOf(trainer, known)}</p>
      <div class="home-start" data-heir="a, button">
        {live ? (
          <Live run={live} />
        ) : (
          <>
            <Button kind="primary" class="home-run" busy={busy} onClick={() => void run()}>
              Run training
            </Button>
            {known.source !== "typescript" && (
              <Switch
                checked={dryRun}
                onChange={(dry) => setQuery({ dry: dry ? 1 : null })}
                label="Dry run"
                hint="A few rows and steps; every stage runs"
              />
            )}
          </>
        )}
      </div>
      {error && <ErrorNote title="The training could not be started" error={error} />}
    </>
  );
}

/** While it runs, the one thing to do is to look at its job, from the moment that it has one. */
function Live({ run }: { run: TrainingRun }) {
  const id = run.jobId ?? (openRun.value?.id === run.id ? foundJob.value : null);
  if (!id) {
    return (
      <Button kind="primary" class="home-run" busy>
        Starting
      </Button>
    );
  }
  const job = jobById(id);
  return (
    <>
      <a class="ui-button ui-button-primary home-run" href={jobHref(id)}>
        Open job
      </a>
      <span class="home-live num">
        <StatusDot status={job?.status ?? "running"} label={job ? undefined : "Started"} />
        {job?.metrics?.step !== undefined && (
          <span class="dim">
            step {number(job.metrics.step)}
            {job.metrics.totalSteps ? ` / ${number(job.metrics.totalSteps)}` : ""}
          </span>
        )}
      </span>
    </>
  );
}

function lineOf(trainer: Trainer, known: Manifest): string {
  if (trainer.config) return summary(trainer.config, trainer.rows);
  return known.source === "typescript"
    ? "Declared in TypeScript. Its settings are listed on the job once it has started."
    : "This trainer lists no settings.";
}

function Choice({ trainers, chosen }: { trainers: readonly Trainer[]; chosen: string }) {
  if (trainers.length < 2) return null;
  const choose = (name: string): void => setQuery({ trainer: name === trainers[0]?.name ? null : name });
  if (trainers.length <= CHIPS_AT_MOST) {
    const items = trainers.map(({ name }) => ({ value: name, label: displayName(name) }));
    return (
      <div class="home-choice">
        <Chips label="Trainer" items={items} value={chosen} onChange={choose} />
      </div>
    );
  }
  return (
    <div class="home-choice">
      <select class="ui-input" aria-label="Trainer" value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
        {trainers.map(({ name }) => (
          <option key={name} value={name}>
            {displayName(name)}
          </option>
        ))}
      </select>
    </div>
  );
}

/** What the trainer is set to, to read before pressing. */
export function Settings({ known }: { known: Manifest }) {
  const trainer = chosenTrainer(known);
  if (!trainer?.config) return null;
  const list = settings(trainer.config);
  return (
    <dl class="home-settings" aria-label="Settings">
      {list.map(({ label, value }) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd class="num">
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}
