/** The choices that creating and changing an endpoint share. */
import { Field } from "../../ui";
import { type AuthMode, daysTrouble, type RetentionMode } from "./model";

interface Choice<T extends string> {
  value: T;
  label: string;
  hint: string;
}

const ACCESS: readonly Choice<AuthMode>[] = [
  { value: "fixed_api_key", label: "API key", hint: "Callers send a key that you issue and can revoke." },
  { value: "none", label: "Open to all", hint: "Whoever knows the address can call it, at your cost." },
];

const RETENTION: readonly Choice<RetentionMode>[] = [
  { value: "days", label: "For some days", hint: "Chats are kept, then deleted." },
  { value: "disabled", label: "Not at all", hint: "No chat is stored." },
  { value: "unlimited", label: "For ever", hint: "Every chat stays until you delete the endpoint." },
];

function Radios<T extends string>({ legend, name, choices, value, onChange }: { legend: string; name: string; choices: readonly Choice<T>[]; value: T; onChange: (value: T) => void }) {
  return (
    <fieldset class="ep-radios">
      <legend class="ui-field-label">{legend}</legend>
      {choices.map((choice) => (
        <label key={choice.value} class="ep-radio">
          <input type="radio" name={name} checked={choice.value === value} onChange={() => onChange(choice.value)} />
          <span>
            {choice.label}
            <span class="hint">{choice.hint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

export function AccessField({ value, onChange }: { value: AuthMode; onChange: (value: AuthMode) => void }) {
  return <Radios legend="Access" name="ep-access" choices={ACCESS} value={value} onChange={onChange} />;
}

interface RetentionProps {
  mode: RetentionMode;
  days: number;
  onChange: (mode: RetentionMode, days: number) => void;
}

export function RetentionField({ mode, days, onChange }: RetentionProps) {
  return (
    <>
      <Radios legend="Keep what is asked and answered" name="ep-retention" choices={RETENTION} value={mode} onChange={(value) => onChange(value, days)} />
      {mode === "days" && (
        <Field label="Days" for="ep-days" error={daysTrouble(days)}>
          <input id="ep-days" class="ui-input num ep-days" type="number" min={1} step={1} value={Number.isNaN(days) ? "" : days} onInput={(event) => onChange(mode, event.currentTarget.valueAsNumber)} />
        </Field>
      )}
    </>
  );
}
