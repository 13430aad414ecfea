import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useActions } from "../../actions/actions";
import { errorText } from "../../api/client";
import type { Manifest, Trainer, TrainingRun } from "../../contract.gen";
import { number } from "../../lib/format";
import { summary } from "../../lib/job-config-text";
import { clean, displayName } from "../../lib/text";
import { href, jobHref, route, setQuery } from "../../router";
import { features } from "../../store/features";
import { jobById } from "../../store/jobs";
import { editsOf, trainerNamed } from "../../store/manifest";
import { queueWords } from "../../store/queue";
import { liveRunOf, runs } from "../../store/runs";
import { changeWords } from "../../store/trainer-changes";
import { changesFor, drafted, draftFaults } from "../../store/trainer-draft";
import { Button } from "../../ui/controls/button";
import { Chips, Switch } from "../../ui/controls/switch";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { StatusDot } from "../../ui/status";
import { ClusterPlace } from "./cluster-place";
import { ForecastPlace } from "./forecast-place";
import { foundJob, openRun } from "./open-run";
import {
  clearStartError,
  confirmAndRun,
  editedMeanwhile,
  runTrainer,
  startError,
  starting,
} from "./run-trainer";

const CHIPS_AT_MOST = 6;
/** Where a project of the arkor package declares its trainer. */
const ENTRY = "src/arkor/index.ts";

/** The one in the address, else the first. */
function chosenTrainer(known: Manifest): Trainer | undefined {
  return trainerNamed(route.value.query.get("trainer") ?? undefined, known) ?? known.trainers[0];
}

/** The trainer that is chosen, what it will do, and the button. */
export function TrainerPanel({ known }: { known: Manifest }) {
  const trainer = chosenTrainer(known);
  // A TypeScript trainer says in its own code whether it is a dry run.
  const dryRun = known.source !== "typescript" && route.value.query.get("dry") === "1";
  useEffect(() => clearStartError, [trainer?.name]);
  const live = trainer && liveRunOf(trainer, known);
  useActions([
    {
      name: "train",
      label: dryRun ? "Run training (dry run)" : "Run training",
      first: true,
      run: () => trainer && void confirmAndRun(trainer, dryRun),
    },
  ]);
  if (!trainer) return null;
  const changed = Object.keys(changesFor(trainer)).length > 0;
  const faults = draftFaults.value;
  return (
    <>
      <Choice trainers={known.trainers} chosen={trainer.name} />
      <h1 tabIndex={-1} class="home-name">
        <bdi>{displayName(trainer.name)}</bdi>
      </h1>
      <p class="home-line">
        {lineOf(drafted(trainer), known)}
        {known.source && (
          <>
            {" · from "}
            <code>{known.source === "typescript" ? ENTRY : known.source}</code>
          </>
        )}
        {trainer.config && features.value.has("datasets") && (
          <>
            {" · "}
            <a href={href("/data", { trainer: trainer.name })}>View data</a>
          </>
        )}
      </p>
      <ForecastPlace trainer={trainer} dryRun={dryRun} />
      <div class="home-start" data-focus-next="a, button">
        {live ? (
          <Live run={live} />
        ) : (
          <>
            <Button
              kind="primary"
              class="home-run"
              busy={starting.value}
              disabled={trainer.problem !== undefined || faults > 0}
              aria-describedby={
                trainer.problem !== undefined ? "home-problem" : faults > 0 ? "home-faults" : undefined
              }
              onClick={() => void runTrainer(trainer, dryRun)}
            >
              {changed ? "Run with unsaved changes" : "Run training:"}
              {!changed && <bdi class="ellipsis">{displayName(trainer.name)}</bdi>}
            </Button>
            {known.source !== "typescript" && (
              <Switch
                checked={dryRun}
                onChange={(dry) => setQuery({ dry: dry ? 1 : null })}
                label="Dry run"
                hint="Few rows, few steps, every stage"
              />
            )}
          </>
        )}
      </div>
      {known.source !== "typescript" && <ClusterPlace />}
      {faults > 0 && (
        <p id="home-faults" class="home-edits">
          Correct the {faults === 1 ? "setting that is" : "settings that are"} marked below first.
        </p>
      )}
      <Edits trainer={trainer} what={known.source === "arkor.toml" ? "arkor.toml" : "The project"} />
      {trainer.flaw !== undefined && (
        <p class="home-edits">
          <strong>A row cannot be read:</strong> <bdi>{clean(trainer.flaw, 500)}</bdi>
        </p>
      )}
      {trainer.problem !== undefined && (
        <div id="home-problem">
          <ErrorNote title="This trainer can't run yet" error={trainer.problem} />
        </div>
      )}
      {startError.value && <ErrorNote title="The training could not be started" error={startError.value} />}
    </>
  );
}

/** What was edited since it was first shown or last run; after an attempt to run it, with what to do. */
function Edits({ trainer, what }: { trainer: Trainer; what: string }) {
  const edits = editsOf(trainer);
  if (edits.length === 0 && !editedMeanwhile.value) return null;
  return (
    <p class={editedMeanwhile.value ? "home-edits home-edits-held" : "home-edits"}>
      <strong>
        {what} changed{edits.length > 0 ? ":" : "."}
      </strong>{" "}
      {changeWords(edits)}
      {editedMeanwhile.value &&
        (edits.length > 0
          ? ". Nothing was started: press again to train with this."
          : "Nothing was started: look at it and press again.")}
    </p>
  );
}

/** While it runs, the button leads to its job, once it has one. */
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
        <StatusDot
          status={job?.status ?? "running"}
          label={job ? (job.status === "queued" ? queueWords(job) : undefined) : "Started"}
        />
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
  if (trainer.problem !== undefined) return "Couldn't read settings";
  return known.source === "typescript"
    ? "Settings are listed on the job once it has started"
    : "This trainer lists no settings";
}

/** A trainer's name in the choice; it says where the trainer cannot run. */
const choiceLabel = ({ name, problem }: Trainer): string =>
  problem === undefined ? displayName(name) : `${displayName(name)} (has a problem)`;

function Choice({ trainers, chosen }: { trainers: readonly Trainer[]; chosen: string }) {
  if (trainers.length < 2) return null;
  const choose = (name: string): void => setQuery({ trainer: name === trainers[0]?.name ? null : name });
  if (trainers.length <= CHIPS_AT_MOST) {
    const items = trainers.map((trainer) => ({ value: trainer.name, label: choiceLabel(trainer) }));
    return (
      <div class="home-choice">
        <Chips label="Trainer" items={items} value={chosen} onChange={choose} />
      </div>
    );
  }
  return (
    <div class="home-choice">
      <select
        class="ui-input"
        aria-label="Trainer"
        value={chosen}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        {trainers.map((trainer) => (
          <option key={trainer.name} value={trainer.name}>
            {choiceLabel(trainer)}
          </option>
        ))}
      </select>
    </div>
  );
}

const form = signal<typeof import("./form").SettingsForm | null>(null);
const formError = signal<string | null>(null);

/** The trainer's settings, to be changed; a project in TypeScript has them in its code. */
export function Settings({ known }: { known: Manifest }) {
  const trainer = chosenTrainer(known);
  const { revision } = known;
  const any = trainer?.config !== undefined && revision !== undefined;
  useEffect(() => {
    if (!any) return;
    import("./form").then(
      ({ SettingsForm }) => {
        form.value = SettingsForm;
      },
      (error: unknown) => {
        formError.value = errorText(error);
      },
    );
  }, [any]);
  if (!any) return null;
  const Form = form.value;
  if (formError.value) return <ErrorNote title="The settings could not be loaded" error={formError.value} />;
  // What runs decides whether it is open or folded: known only a moment later, it would be seen to fold.
  return Form && runs.value ? (
    <Form key={trainer.name} trainer={trainer} revision={revision} />
  ) : (
    <Skeleton lines={8} height={18} />
  );
}
