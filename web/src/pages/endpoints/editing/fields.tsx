/** The form fields that creating and editing an endpoint share. */
import type { ComponentChildren } from "preact";
import { openToWords } from "../address";
import { type AuthMode, daysTrouble, type Engine, type RetentionMode } from "../model";

interface Choice<T extends string> {
  value: T;
  label: string;
  hint: string;
}

const access = (): readonly Choice<AuthMode>[] => [
  { value: "fixed_api_key", label: "API key", hint: "Callers send a key that you issue and can revoke." },
  { value: "none", label: "Open to all", hint: openToWords() },
];

const RETENTION: readonly Choice<RetentionMode>[] = [
  { value: "days", label: "For", hint: "Each chat is stored and deleted when its time is up." },
  { value: "disabled", label: "Not at all", hint: "No chat is stored." },
  { value: "unlimited", label: "Forever", hint: "Every chat is stored and stays." },
];

const ENGINES: readonly Choice<Engine>[] = [
  { value: "auto", label: "Automatic", hint: "The next answer decides, and the endpoint keeps to it." },
  {
    value: "exact",
    label: "transformers",
    hint: "The weights as they are: the exact answers, slower on a CPU.",
  },
  {
    value: "llama.cpp",
    label: "llama.cpp",
    hint: "Faster on a CPU. Its file is created first, which takes a while.",
  },
];

interface RadiosProps<T extends string> {
  legend: string;
  name: string;
  choices: readonly Choice<T>[];
  value: T;
  onChange: (value: T) => void;
  /** Text after the label of a choice. */
  more?: Partial<Record<T, ComponentChildren>>;
}

function Radios<T extends string>({ legend, name, choices, value, onChange, more }: RadiosProps<T>) {
  return (
    <fieldset class="ep-radios">
      <legend class="ui-field-label">{legend}</legend>
      {choices.map((choice) => (
        <label key={choice.value} class="ep-radio">
          <input
            type="radio"
            name={name}
            checked={choice.value === value}
            onChange={() => onChange(choice.value)}
          />
          <span>
            {choice.label} {more?.[choice.value]}
            <span class="hint">{choice.hint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

export function AccessField({ value, onChange }: { value: AuthMode; onChange: (value: AuthMode) => void }) {
  return <Radios legend="Access" name="ep-access" choices={access()} value={value} onChange={onChange} />;
}

export function EngineField({ value, onChange }: { value: Engine; onChange: (value: Engine) => void }) {
  return <Radios legend="Engine" name="ep-engine" choices={ENGINES} value={value} onChange={onChange} />;
}

interface RetentionProps {
  mode: RetentionMode;
  days: number;
  onChange: (mode: RetentionMode, days: number) => void;
}

export function RetentionField({ mode, days, onChange }: RetentionProps) {
  const trouble = mode === "days" ? daysTrouble(days) : null;
  const count = (
    <>
      <input
        class="ui-input num ep-days"
        type="number"
        aria-label="Days"
        aria-invalid={trouble !== null}
        min={1}
        step={1}
        value={Number.isNaN(days) ? "" : days}
        onFocus={() => onChange("days", days)}
        onInput={(event) => onChange("days", event.currentTarget.valueAsNumber)}
      />
      {" days"}
    </>
  );
  return (
    <div>
      <Radios
        legend="Keep chats"
        name="ep-retention"
        choices={RETENTION}
        value={mode}
        onChange={(value) => onChange(value, days)}
        more={{ days: count }}
      />
      {trouble && (
        <p class="ui-field-error" role="alert">
          {trouble}
        </p>
      )}
    </div>
  );
}
