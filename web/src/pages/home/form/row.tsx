/** One setting: its name, its field, the file's value or the error; its help is shown while it is used. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { JobConfig, Trainer } from "../../../contract.gen";
import type { FormSetting } from "../../../form.gen";
import { settings } from "../../../lib/job-config-text";
import { methods } from "../../../store/features";
import { applySettings, undoSetting } from "../../../store/trainer-draft";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { textOf, valueIn } from "./text";

export interface RowState {
  setting: FormSetting;
  /** Null if unset. */
  value: unknown;
  inFile: unknown;
  changed: boolean;
  /** The error of the value. */
  problem: string | null;
}

/** Maximum number of characters of a placeholder that describes the default. */
const ROOM = 22;

export function Row({ trainer, setting, value, inFile, changed, problem }: RowState & { trainer: Trainer }) {
  const { field, label, unit, kind } = setting;
  const id = `set-${field}`;
  const names = [
    "set-row",
    (kind === "text" || kind === "list") && "set-row-text",
    changed && "set-row-changed",
  ];
  const undo = (): void => {
    undoSetting(trainer, field);
    announce(`${label} is as in arkor.toml`);
  };
  return (
    <div class={names.filter(Boolean).join(" ")} data-focus-next="input, select">
      <div class="set-name">
        <label for={id}>{label}</label>
        {unit && unit !== label.toLowerCase() && <span class="hint"> {unit}</span>}
      </div>
      <Control
        id={id}
        setting={setting}
        value={value}
        faulty={problem !== null}
        onChange={(next) => applySettings(trainer, { [field]: next })}
      />
      {(problem || changed) && (
        <div class="set-note">
          {problem && (
            <p id={`${id}-problem`} class="set-problem" role="alert">
              {problem}
            </p>
          )}
          {changed && (
            <p class="set-was">
              <span>
                In arkor.toml: <bdi>{inFile === null ? "not set" : valueText(field, inFile)}</bdi>
              </span>
              <Button small kind="quiet" aria-label={`Undo ${label}`} onClick={undo}>
                Undo
              </Button>
            </p>
          )}
        </div>
      )}
      <p id={`${id}-help`} class="set-help">
        {helpOf(setting)}
      </p>
    </div>
  );
}

interface ControlProps {
  id: string;
  setting: FormSetting;
  value: unknown;
  faulty: boolean;
  onChange: (value: unknown) => void;
}

function Control(props: ControlProps) {
  const { kind } = props.setting;
  return kind === "choice" || kind === "flag" ? <Choice {...props} /> : <Text {...props} />;
}

function Text({ id, setting, value, faulty, onChange }: ControlProps) {
  const field = useRef<HTMLInputElement>(null);
  const text = textOf(value);
  // The typed text stays as typed: `2e-4` is the value 0.0002.
  useLayoutEffect(() => {
    const input = field.current!;
    const typed = textOf(valueIn(setting, input.value));
    if (document.activeElement !== input || typed !== text) input.value = text;
  }, [text]);
  return (
    <input
      ref={field}
      id={id}
      class={setting.kind === "whole" || setting.kind === "number" ? "ui-input num" : "ui-input"}
      type="text"
      inputMode={setting.kind === "whole" ? "numeric" : setting.kind === "number" ? "decimal" : "text"}
      autocomplete="off"
      spellcheck={false}
      placeholder={setting.required ? "" : defaultOf(setting)}
      aria-invalid={faulty}
      aria-describedby={`${id}-help${faulty ? ` ${id}-problem` : ""}`}
      aria-required={setting.required}
      onInput={(event) => onChange(valueIn(setting, event.currentTarget.value))}
      onBlur={(event) => {
        event.currentTarget.value = text;
      }}
    />
  );
}

function Choice({ id, setting, value, faulty, onChange }: ControlProps) {
  const { field, kind, choices = [], required } = setting;
  const items = kind === "flag" ? ["true", "false"] : choices;
  const text = textOf(value);
  const nameOf = (item: string): string =>
    (field === "method" && methods.value.find(({ name }) => name === item)?.label) || item;
  return (
    <select
      id={id}
      class="ui-input"
      value={text}
      aria-invalid={faulty}
      aria-describedby={`${id}-help${faulty ? ` ${id}-problem` : ""}`}
      onChange={(event) => onChange(valueIn(setting, event.currentTarget.value))}
    >
      {!required && <option value="">{nameOf(defaultOf(setting))} (default)</option>}
      {items.map((item) => (
        <option key={item} value={item}>
          {kind === "flag" ? valueText(field, item === "true") : nameOf(item)}
        </option>
      ))}
      {text !== "" && !items.includes(text) && <option value={text}>{text.slice(0, 80)}</option>}
    </select>
  );
}

/** A value in the wording of a job's page. */
function valueText(field: string, value: unknown): string {
  return settings({ [field]: value } as unknown as JobConfig)[0]?.value ?? "";
}

/** The default, as short as the field requires. */
function defaultOf({ field, kind, default: fixed, defaultWords = "" }: FormSetting): string {
  if (fixed === undefined) return defaultWords.length <= ROOM ? defaultWords : "automatic";
  return kind === "flag" ? valueText(field, fixed) : textOf(fixed);
}

/** Its purpose, its range, and which backends support it, if not all do. */
function helpOf({ help, range, defaultWords, where }: FormSetting): string {
  return [
    help,
    range && `${range}.`,
    defaultWords && defaultWords.length > ROOM && `Automatic: ${defaultWords}.`,
    where && `Only for ${where}.`,
  ]
    .filter(Boolean)
    .join(" ");
}
