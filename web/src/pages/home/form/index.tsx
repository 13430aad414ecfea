/** Edits a trainer's settings in place: the five most common, and all of them on request. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import type { JobConfig, Trainer } from "../../../contract.gen";
import { type FormSetting, GROUPS } from "../../../form.gen";
import { plural } from "../../../lib/format";
import { settings } from "../../../lib/job-config-text";
import { route, setQuery } from "../../../router";
import { methods } from "../../../store/features";
import { type Changes, changesFor, draftFaults } from "../../../store/trainer-draft";
import { Button } from "../../../ui/controls/button";
import { conflictsIn, problemOf, settingsFor } from "./check";
import { DataSetRow } from "./data-set";
import { Row, type RowState } from "./row";

/** Besides the data set. */
const FEW = new Set<string>(["model", "method", "numTrainEpochs", "maxSteps", "learningRate", "loraR"]);

interface Props {
  trainer: Trainer;
  /** The revision of the file that was read. */
  revision: string;
  /** Closed, it only checks the changed settings. */
  open: boolean;
  /** Whether all settings are shown. */
  all: boolean;
  onAll: (all: boolean) => void;
}

export function SettingsForm({ trainer, revision, open, all, onAll }: Props) {
  const rows = rowsOf(trainer, changesFor(trainer));
  const faults = rows.filter(({ problem }) => problem !== null).length;
  const few = rows.filter(({ setting }) => FEW.has(setting.field));
  const rest = rows.filter(({ setting }) => !FEW.has(setting.field));
  const hidden = rest.some(({ problem }) => problem !== null);
  useLayoutEffect(() => {
    draftFaults.value = faults;
    return () => {
      draftFaults.value = 0;
    };
  }, [faults]);
  useLayoutEffect(() => {
    if (hidden) onAll(true);
  }, [hidden]);
  const asked = route.value.query.get("setting");
  useLayoutEffect(() => {
    if (!open || asked === null) return;
    const control = document.getElementById(`set-${asked}`);
    if (!control && !all) return onAll(true);
    const group = control?.closest("details");
    if (group) group.open = true;
    control?.focus();
    setQuery({ setting: null });
  }, [asked, open, all]);
  if (!open) return null;
  const changed = rest.filter((row) => row.changed).length;
  return (
    <section class="set" aria-label="Settings" data-focus-next=".set-row input">
      <div class="set-top">
        <div class="set-few">
          {few.map((row) => (
            <>
              <Row key={row.setting.field} trainer={trainer} {...row} />
              {row.setting.field === "model" && <DataSetRow trainer={trainer} revision={revision} />}
            </>
          ))}
        </div>
        <Button
          small
          kind="quiet"
          class="set-more"
          icon={all ? "up" : "down"}
          aria-expanded={all}
          onClick={() => onAll(!all)}
        >
          {all ? "Fewer settings" : "All settings"}
          {!all && changed > 0 && <span class="set-state-changed">{plural(changed, "change")}</span>}
        </Button>
      </div>
      {all && <All trainer={trainer} rows={rest} />}
    </section>
  );
}

function All({ trainer, rows }: { trainer: Trainer; rows: RowState[] }) {
  return (
    <div class="set-list">
      {GROUPS.map(({ group, title }) => {
        const own = rows.filter(({ setting }) => setting.group === group);
        if (own.length === 0) return null;
        const list = own.map((row) => <Row key={row.setting.field} trainer={trainer} {...row} />);
        return group === "usual" ? (
          <div key={group}>{list}</div>
        ) : (
          <Folded key={group} title={title} rows={own}>
            {list}
          </Folded>
        );
      })}
    </div>
  );
}

function rowsOf(trainer: Trainer, changes: Changes): RowState[] {
  const own = trainer.config as unknown as Changes;
  const config = { ...own, ...changes };
  const conflicts = conflictsIn(config);
  return settingsFor(config, methods.value).map((setting) => {
    const { field } = setting;
    const inFile = own[field] ?? null;
    const changed = field in changes;
    const value = changed ? changes[field] : inFile;
    const problem = (changed ? problemOf(setting, value) : null) ?? conflicts.get(field) ?? null;
    return { setting, value, inFile, changed, problem };
  });
}

/** A rarely needed group, with its set values in one line. */
function Folded({ title, rows, children }: { title: string; rows: RowState[]; children: ComponentChildren }) {
  const changed = rows.filter((row) => row.changed).length;
  const faulty = rows.some(({ problem }) => problem !== null);
  const [open, setOpen] = useState(changed > 0);
  useLayoutEffect(() => {
    if (faulty) setOpen(true);
  }, [faulty]);
  const descriptions = rows
    .filter(({ value }) => value !== null)
    .map(({ setting, value }) => words(setting, value));
  return (
    <details class="set-group" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span>{title}</span>
        {changed > 0 && <span class="set-state-changed">{plural(changed, "change")}</span>}
        <span class="hint set-said">{descriptions.join(" · ")}</span>
      </summary>
      {children}
    </details>
  );
}

function words({ field, label }: FormSetting, value: unknown): string {
  const [text] = settings({ [field]: value } as unknown as JobConfig);
  return `${label} ${text?.value ?? "not set"}`;
}
