/** The chosen trainer: what a run will do, the button that starts it, and what prevents it. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useActions } from "../../actions/actions";
import type { Manifest, Trainer, TrainingRun } from "../../contract.gen";
import { number, plural } from "../../lib/format";
import { late } from "../../lib/late";
import { clean, displayName } from "../../lib/text";
import { href, route, setQuery } from "../../router";
import { features } from "../../store/features";
import { editsOf, trainerNamed } from "../../store/manifest";
import { needsTrust } from "../../store/placement";
import { changedWords, changeWords } from "../../store/trainer-changes";
import { applySettings, changesFor, drafted, draftFaults, formWanted } from "../../store/trainer-draft";
import { Button } from "../../ui/controls/button";
import { CopyButton } from "../../ui/controls/copy";
import { Chips, Select, Switch } from "../../ui/controls/switch";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { Changes } from "./changes";
import { Facts } from "./facts";
import { LazyCluster } from "./lazy-cluster";
import {
  clearStartError,
  confirmAndRun,
  editedMeanwhile,
  runTrainer,
  startError,
  starting,
} from "./run-trainer";

const useForm = late(() => import("./form"));
const useFile = late(() => import("./use-file"));
const useMapping = late(() => import("../data/mapping"));
const CHIPS_AT_MOST = 6;

/** The one in the address, else the first. */
export function chosenTrainer(known: Manifest): Trainer | undefined {
  return trainerNamed(route.value.query.get("trainer") ?? undefined, known) ?? known.trainers[0];
}

/** The selection among several, and the page's name. */
export function TrainerHead({ known, trainer }: { known: Manifest; trainer: Trainer }) {
  return (
    <header class="home-head">
      <h1 tabIndex={-1} class="home-name">
        <bdi>{displayName(trainer.name)}</bdi>
      </h1>
      <Choice trainers={known.trainers} chosen={trainer.name} />
    </header>
  );
}

interface Props {
  known: Manifest;
  trainer: Trainer;
  /** Its running command: then nothing can be started, and settings are only shown. */
  live: TrainingRun | undefined;
  /** Its last run is shown as a result: another run is not the next thing to do. */
  done?: boolean;
}

/** The one card; while the trainer runs it is there only for opened settings. */
export function TrainerCard({ known, trainer, live, done = false }: Props) {
  const typescript = known.source === "typescript";
  // A TypeScript trainer declares in its code whether it is a quick test.
  const quick = !typescript && route.value.query.get("dry") === "1";
  const box = useRef<HTMLElement>(null);
  const [open, setOpen] = useState(formWanted.peek());
  const [all, setAll] = useState(false);
  const running = live !== undefined;
  const before = useRef(running);
  useEffect(() => clearStartError, [trainer.name]);
  useEffect(() => {
    formWanted.value = false;
  }, []);
  const asksSetting = route.value.query.get("setting") !== null;
  useLayoutEffect(() => {
    if (asksSetting) setOpen(true);
  }, [asksSetting]);
  useLayoutEffect(() => {
    const begins = running && !before.current;
    before.current = running;
    // Fields in use stay; anything else makes room for the curve.
    if (begins && !box.current?.querySelector(".set")?.contains(document.activeElement)) setOpen(false);
  }, [running]);
  useActions(undefined, [
    {
      name: "train",
      label: quick ? "Start quick test" : "Run training",
      first: true,
      run: () => void confirmAndRun(trainer, quick),
    },
  ]);
  const changed = Object.keys(changesFor(trainer)).length > 0;
  const editable = trainer.config !== undefined && known.revision !== undefined;
  // Only the form knows whether a changed setting is valid.
  const code = useForm(editable && (open || changed));
  const faults = draftFaults.value;
  useLayoutEffect(() => {
    if (faults > 0) setOpen(true);
  }, [faults > 0]);
  const distrusted = !typescript && needsTrust();
  const blocked = trainer.problem !== undefined || faults > 0 || distrusted;
  const dropped = useFile(editable);
  // A wrapper that outlives the card, to pass on the focus.
  return (
    <div
      class="home-next"
      data-focus-next=".home-output-actions a, .home-output-actions button, .home-log button"
    >
      {(!running || open) && (
        <section ref={box} class="home-card" aria-label="Next run" data-focus-next=".home-run">
          {trainer.config ? (
            <Facts trainer={drafted(trainer)} quick={quick} apply={(set) => applySettings(trainer, set)} />
          ) : (
            trainer.problem === undefined && <p class="dim">{lineWithout(known)}</p>
          )}
          <Changes trainer={trainer} revision={known.revision} faults={faults} />
          {!running && <Trouble trainer={trainer} revision={known.revision} />}
          <div class="home-start">
            {!running && (
              <Button
                kind={trainer.problem === undefined && (!done || changed) ? "primary" : "plain"}
                class="home-run"
                busy={starting.value}
                disabled={blocked}
                aria-describedby={
                  faults > 0
                    ? "home-faults"
                    : trainer.problem !== undefined
                      ? "home-problem"
                      : distrusted
                        ? "home-trust"
                        : undefined
                }
                onClick={() => void runTrainer(trainer, quick)}
              >
                {quick ? "Start quick test" : changed ? "Run with unsaved changes" : "Run training"}
              </Button>
            )}
            {!running && !typescript && (
              <Switch
                checked={quick}
                onChange={(dry) => setQuery({ dry: dry ? 1 : null })}
                label="Quick test"
                hint="A dry run: few rows, few steps, every stage"
              />
            )}
            {editable && (
              <Button
                kind="quiet"
                class="home-edit"
                icon={open ? "up" : "down"}
                aria-expanded={open}
                onClick={() => setOpen(!open)}
              >
                {open ? "Hide settings" : "Edit settings"}
              </Button>
            )}
          </div>
          {!typescript && <LazyCluster />}
          {faults > 0 && (
            <p id="home-faults" class="home-note home-note-warn">
              Correct the {faults === 1 ? "setting that is" : "settings that are"} marked below first.
            </p>
          )}
          {!running && <Edits trainer={trainer} />}
          {dropped && editable && (
            <dropped.DropFile key={trainer.name} trainer={trainer} revision={known.revision!} />
          )}
          {startError.value && <ErrorNote title="Couldn't start training" error={startError.value} />}
          {code ? (
            <code.SettingsForm
              key={trainer.name}
              trainer={trainer}
              revision={known.revision!}
              open={open}
              all={all}
              onAll={setAll}
            />
          ) : (
            open && <Skeleton lines={4} height={32} />
          )}
        </section>
      )}
    </div>
  );
}

/** Edits of the file since it was first shown or last run; after an attempt to run it, with advice. */
function Edits({ trainer }: { trainer: Trainer }) {
  const edits = editsOf(trainer);
  if (edits.length === 0 && !editedMeanwhile.value) return null;
  return (
    <p class={editedMeanwhile.value ? "home-note home-note-warn" : "home-note"}>
      <strong>
        {changedWords(edits)}
        {edits.length > 0 ? ":" : "."}
      </strong>{" "}
      {changeWords(edits)}
      {editedMeanwhile.value &&
        `${edits.length > 0 ? "." : ""} Nothing was started. Run again to train with this.`}
    </p>
  );
}

/** A problem of the project or its data, once, with its remedy. */
function Trouble({ trainer, revision }: { trainer: Trainer; revision: string | undefined }) {
  const { unmapped, problem, needsData = false, flaw, unreadable = 0 } = trainer;
  const mapping = useMapping(unmapped !== undefined);
  const file = useFile(needsData && !unmapped && revision !== undefined);
  if (unmapped && revision !== undefined)
    return (
      <div id="home-problem">
        {mapping ? (
          <mapping.MapColumns key={unmapped.file} {...{ trainer, unmapped, revision }} />
        ) : (
          <Skeleton lines={5} height={24} />
        )}
      </div>
    );
  if (problem !== undefined)
    return (
      <div id="home-problem">
        <ErrorNote title="This trainer can't run yet" error={problem}>
          {file && <file.UseFile trainer={trainer} revision={revision!} />}
          {trainer.install !== undefined && (
            <p class="home-install">
              <code>{trainer.install}</code>
              <CopyButton small text={trainer.install} label="Copy the command" />
            </p>
          )}
        </ErrorNote>
      </div>
    );
  if (unreadable === 0 || flaw === undefined) return null;
  const skips = changesFor(trainer).skipBadRows === true;
  return (
    <div class="home-note home-note-warn">
      <p>
        <strong>
          {plural(unreadable, "row is", "rows are")} invalid{skips ? " and will be skipped." : "."}
        </strong>{" "}
        <bdi>{clean(flaw, 500)}</bdi>
      </p>
      <p class="home-note-actions">
        {!skips && (
          <Button small onClick={() => applySettings(trainer, { skipBadRows: true })}>
            Skip invalid rows
          </Button>
        )}
        {features.value.has("datasets") && (
          <a
            class="ui-button ui-button-small ui-button-quiet"
            href={href("/data", { trainer: trainer.name })}
          >
            View data
          </a>
        )}
      </p>
    </div>
  );
}

function lineWithout(known: Manifest): string {
  return known.source === "typescript"
    ? "Settings are listed on the job once it has started."
    : "This trainer lists no settings.";
}

/** A trainer's name in the selection, marked if it cannot run. */
const choiceLabel = ({ name, problem }: Trainer): string =>
  problem === undefined ? displayName(name) : `${displayName(name)} (has a problem)`;

function Choice({ trainers, chosen }: { trainers: readonly Trainer[]; chosen: string }) {
  if (trainers.length < 2) return null;
  const choose = (name: string): void => setQuery({ trainer: name === trainers[0]?.name ? null : name });
  if (trainers.length <= CHIPS_AT_MOST) {
    const items = trainers.map((trainer) => ({ value: trainer.name, label: choiceLabel(trainer) }));
    return <Chips label="Trainer" items={items} value={chosen} onChange={choose} />;
  }
  return (
    <Select
      aria-label={`Trainer, one of ${number(trainers.length)}`}
      value={chosen}
      options={trainers.map((trainer) => [trainer.name, choiceLabel(trainer)])}
      onChange={choose}
    />
  );
}
