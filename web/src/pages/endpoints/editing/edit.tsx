/** The editable properties of an endpoint, one per line. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Target } from "../../../chat/model/types";
import { targetTrouble } from "../../../chat/picker/adapter-select";
import { TargetChoice } from "../../../chat/picker/choice";
import { sameTarget } from "../../../chat/targets";
import type { Deployment } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { targetWords } from "../list";
import {
  DEFAULT_DAYS,
  daysTrouble,
  type Engine,
  engineWords,
  fromWire,
  type RetentionMode,
  retentionBody,
  retentionWords,
  toWire,
} from "../model";
import type { EndpointChange } from "../store";
import { AccessField, EngineField, RetentionField } from "./fields";

interface Props {
  deployment: Deployment;
  change: (body: EndpointChange, message: string) => Promise<boolean>;
}

interface LineProps {
  name: string;
  value: ComponentChildren;
  editing: boolean;
  setEditing: (editing: boolean) => void;
  /** Why the draft cannot be saved, or null. */
  trouble: string | null;
  /** The field itself shows the error. */
  blocked?: boolean;
  save: () => Promise<boolean>;
  children: ComponentChildren;
}

function Line({ name, value, editing, setEditing, trouble, blocked, save, children }: LineProps) {
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLElement>(null);
  const before = useRef(editing);
  // Moves the focus to what replaced the focused element: the first field, or Change.
  useLayoutEffect(() => {
    if (before.current !== editing && document.activeElement === document.body)
      box.current?.querySelector<HTMLElement>("input:checked, button")?.focus();
    before.current = editing;
  }, [editing]);
  const submit = async (): Promise<void> => {
    setBusy(true);
    if (await save()) setEditing(false);
    setBusy(false);
  };
  return (
    <div class="ep-fact">
      <dt>{name}</dt>
      <dd ref={box}>
        {editing ? (
          <div class="ep-edit">
            {children}
            {trouble && <p class="ui-field-error">{trouble}</p>}
            <div class="ep-buttons">
              <Button
                small
                kind="primary"
                busy={busy}
                disabled={blocked || trouble !== null}
                onClick={() => void submit()}
              >
                Save
              </Button>
              <Button small kind="quiet" onClick={() => setEditing(false)}>
                Cancel
              </Button>
            </div>
          </div>
        ) : (
          <>
            <span dir="auto">{value}</span>
            <Button
              small
              kind="quiet"
              class="ep-change"
              aria-label={`Change: ${name.toLowerCase()}`}
              onClick={() => setEditing(true)}
            >
              Change
            </Button>
          </>
        )}
      </dd>
    </div>
  );
}

export function EditTarget({ deployment, change }: Props) {
  const served = fromWire(deployment.target);
  const [editing, setEditing] = useState(false);
  const [draft, setDraft] = useState<Target | null>(null);
  const target = draft ?? served;
  const trouble = target ? targetTrouble(target) : "Choose what it serves.";
  const save = async (): Promise<boolean> =>
    !target ||
    (served !== null && sameTarget(target, served)) ||
    change({ target: toWire(target) }, "Target changed");
  return (
    <Line
      name="Serves"
      value={targetWords(deployment)}
      editing={editing}
      setEditing={(open) => {
        setEditing(open);
        setDraft(null);
      }}
      trouble={trouble}
      save={save}
    >
      <TargetChoice label="Serves" target={target ?? undefined} onPick={setDraft} />
      <p class="hint">Callers get the new model from their next request on.</p>
    </Line>
  );
}

export function EditAccess({ deployment, change }: Props) {
  const [draft, setDraft] = useState<Deployment["authMode"] | null>(null);
  const now = deployment.authMode;
  const words = now === "fixed_api_key" ? "With an API key" : now === "none" ? "Open to all" : clean(now, 40);
  return (
    <Line
      name="Access"
      value={<span class={now === "none" ? "ep-open" : undefined}>{words}</span>}
      editing={draft !== null}
      setEditing={(editing) => setDraft(editing ? now : null)}
      trouble={null}
      save={async () => draft === null || draft === now || change({ authMode: draft }, "Access changed")}
    >
      <AccessField value={draft ?? now} onChange={setDraft} />
    </Line>
  );
}

export function EditEngine({ deployment, engine, change }: Props & { engine: Engine }) {
  const [draft, setDraft] = useState<Engine | null>(null);
  const by = deployment.answeredBy;
  return (
    <Line
      name="Answered by"
      value={
        <>
          {clean(engineWords(engine, by), 200)}
          {by?.why && <span class="hint"> At its first answer: {clean(by.why, 200)}.</span>}
        </>
      }
      editing={draft !== null}
      setEditing={(editing) => setDraft(editing ? engine : null)}
      trouble={null}
      save={async () => draft === null || change({ engine: draft }, "Engine changed")}
    >
      {draft && <EngineField value={draft} onChange={setDraft} />}
    </Line>
  );
}

export function EditRetention({ deployment, change }: Props) {
  const { runRetentionMode: mode, runRetentionDays: days } = deployment;
  const known = mode === "unlimited" || mode === "disabled" ? mode : "days";
  const [draft, setDraft] = useState<{ mode: RetentionMode; days: number } | null>(null);
  return (
    <Line
      name="Chats kept"
      value={retentionWords(mode ? clean(mode, 40) : mode, days)}
      editing={draft !== null}
      setEditing={(editing) => setDraft(editing ? { mode: known, days: days ?? DEFAULT_DAYS } : null)}
      trouble={null}
      blocked={draft?.mode === "days" && daysTrouble(draft.days) !== null}
      save={async () => draft === null || change(retentionBody(draft.mode, draft.days), "Retention changed")}
    >
      {draft && (
        <RetentionField
          mode={draft.mode}
          days={draft.days}
          onChange={(next, count) => setDraft({ mode: next, days: count })}
        />
      )}
    </Line>
  );
}
