/** A trainer's settings, edited in place: what differs from the file is marked, written into it, or undone. */
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { JobConfig, Trainer } from "../../../contract.gen";
import { FORM, type FormSetting, GROUPS } from "../../../form.gen";
import { plural } from "../../../lib/format";
import { settings } from "../../../lib/job-config-text";
import { isLive } from "../../../store/runs";
import {
  type Changes,
  changesFor,
  draftFaults,
  draftParent,
  dropDraft,
  formWanted,
} from "../../../store/trainer-draft";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { openRun } from "../open-run";
import { conflictsIn, problemOf } from "./check";
import { Origin } from "./origin";
import { Row, type RowState } from "./row";
import { WriteSettings } from "./write";

const FIELDS = new Set<string>(FORM.map(({ field }) => field));

interface Props {
  trainer: Trainer;
  /** Stands for the file as it was read. */
  revision: string;
}

export function SettingsForm({ trainer, revision }: Props) {
  const [writing, setWriting] = useState(false);
  const changes = changesFor(trainer);
  const rows = rowsOf(trainer, changes);
  const count = Object.keys(changes).length;
  const faults = rows.filter(({ problem }) => problem !== null).length;
  useLayoutEffect(() => {
    draftFaults.value = faults;
    return () => {
      draftFaults.value = 0;
    };
  }, [faults]);
  const { box, folds, open, setOpen } = useFold(faults > 0);
  const undoAll = (): void => {
    dropDraft(trainer);
    announce("All settings are as in arkor.toml");
  };
  return (
    <section ref={box} class="set" aria-labelledby="home-settings">
      <header class="set-head" data-focus-next={open ? ".set-row input" : "button"}>
        <h2 id="home-settings">Settings</h2>
        <p class={count > 0 ? "set-state set-state-changed" : "set-state"}>
          {count > 0 ? `${plural(count, "change")} not in arkor.toml` : "as in arkor.toml"}
        </p>
        {!open && count > 0 && <p class="hint set-said">{differing(rows)}</p>}
        <span class="set-actions">
          {count > 0 && (
            <>
              <Button small disabled={faults > 0} onClick={() => setWriting(true)}>
                Write to arkor.toml
              </Button>
              <Button small kind="quiet" onClick={undoAll}>
                Undo all
              </Button>
            </>
          )}
          {folds && (
            <Button
              small
              kind="quiet"
              icon={open ? "up" : "down"}
              aria-expanded={open}
              onClick={() => setOpen(!open)}
            >
              {open ? "Hide settings" : "Change settings"}
            </Button>
          )}
        </span>
      </header>
      {(open || draftParent(trainer)) && <Origin trainer={trainer} />}
      {(open ? GROUPS : []).map(({ group, title }) => {
        const own = rows.filter(({ setting }) => setting.group === group);
        if (own.length === 0) return null;
        const list = own.map((row) => (
          <>
            <Row key={row.setting.field} trainer={trainer} {...row} />
            {row.setting.field === "model" && <Facts config={trainer.config!} />}
          </>
        ));
        return group === "usual" ? (
          <div key={group}>{list}</div>
        ) : (
          <Folded key={group} title={title} rows={own}>
            {list}
          </Folded>
        );
      })}
      {writing && (
        <WriteSettings
          trainer={trainer}
          revision={revision}
          changes={changes}
          onClose={() => setWriting(false)}
        />
      )}
    </section>
  );
}

interface Fold {
  box: RefObject<HTMLElement | null>;
  /** Whether there is a button for it: from the first run on. */
  folds: boolean;
  open: boolean;
  setOpen: (open: boolean) => void;
}

/**
 * Whether the form is open. A run that begins folds it, so that its curve is on the screen, but not while it is typed in;
 * the end of a run moves nothing that is being read.
 */
function useFold(faulty: boolean): Fold {
  const box = useRef<HTMLElement>(null);
  const running = openRun.value !== undefined && isLive(openRun.value);
  const [folds, setFolds] = useState(running);
  const [open, setOpen] = useState(!running || formWanted.peek());
  const before = useRef(running);
  useEffect(() => {
    formWanted.value = false;
  }, []);
  useLayoutEffect(() => {
    const begins = running && !before.current;
    before.current = running;
    if (!begins) return;
    setFolds(true);
    if (!box.current?.contains(document.activeElement)) setOpen(false);
  }, [running]);
  useLayoutEffect(() => {
    if (faulty) setOpen(true);
  }, [faulty]);
  return { box, folds, open, setOpen };
}

function rowsOf(trainer: Trainer, changes: Changes): RowState[] {
  const said = trainer.config as unknown as Changes;
  // A dry run has its own switch beside the button.
  const shown = FORM.filter(({ field }) => field !== "dryRun" || field in said || field in changes);
  const conflicts = conflictsIn({ ...said, ...changes });
  return shown.map((setting) => {
    const { field } = setting;
    const inFile = said[field] ?? null;
    const changed = field in changes;
    const value = changed ? changes[field] : inFile;
    const problem = (changed ? problemOf(setting, value) : null) ?? conflicts.get(field) ?? null;
    return { setting, value, inFile, changed, problem };
  });
}

/** A group that few need, with what is set in it. */
function Folded({ title, rows, children }: { title: string; rows: RowState[]; children: ComponentChildren }) {
  const changed = rows.filter((row) => row.changed).length;
  const faulty = rows.some(({ problem }) => problem !== null);
  const [open, setOpen] = useState(changed > 0);
  useLayoutEffect(() => {
    if (faulty) setOpen(true);
  }, [faulty]);
  const said = rows.filter(({ value }) => value !== null).map(({ setting, value }) => words(setting, value));
  return (
    <details class="set-group" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span>{title}</span>
        {changed > 0 && <span class="set-state-changed">{plural(changed, "change")}</span>}
        <span class="hint set-said">{said.join(" · ")}</span>
      </summary>
      {children}
    </details>
  );
}

/** The settings that are not as in the file: `Steps 60 · LoRA rank 16` */
function differing(rows: readonly RowState[]): string {
  const changed = rows.filter((row) => row.changed);
  return changed.map(({ setting, value }) => words(setting, value)).join(" · ");
}

function words({ field, label }: FormSetting, value: unknown): string {
  const [shown] = settings({ [field]: value } as unknown as JobConfig);
  return `${label} ${shown?.value ?? "not set"}`;
}

/** What the file says besides settings, such as the data set: to read, not to edit. */
function Facts({ config }: { config: JobConfig }) {
  return (
    <>
      {settings(config)
        .filter(({ field }) => !FIELDS.has(field))
        .map(({ field, label, value }) => (
          <div key={field} class="set-row set-row-text">
            <span class="set-name">{label}</span>
            <span class="set-fact">
              <bdi>{value}</bdi>
            </span>
          </div>
        ))}
    </>
  );
}
