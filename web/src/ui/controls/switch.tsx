import type { ComponentChildren, ComponentProps } from "preact";
import { number } from "../../lib/format";
import "./controls.css";

interface SwitchProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  label: ComponentChildren;
  hint?: string;
  /** Keeps the focus but cannot be switched: the previous change is still in progress. */
  busy?: boolean;
}

export function Switch({ checked, onChange, label, hint, busy }: SwitchProps) {
  return (
    <label class="ui-switch">
      <input
        type="checkbox"
        role="switch"
        checked={checked}
        aria-disabled={busy || undefined}
        onClick={(event) => busy && event.preventDefault()}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>
        {label}
        {hint && <span class="ui-switch-hint">{hint}</span>}
      </span>
    </label>
  );
}

interface ChipsProps<T extends string> {
  items: readonly { value: T; label: string; count?: number }[];
  value: T;
  onChange: (value: T) => void;
  /** Accessible name of the group. */
  label: string;
}

/** A few exclusive choices as a row of words: native radio buttons, so that arrows and forms work. */
export function Chips<T extends string>({ items, value, onChange, label }: ChipsProps<T>) {
  return (
    <fieldset class="ui-chips">
      <legend class="visually-hidden">{label}</legend>
      {items.map((item) => (
        <label key={item.value} class={item.value === value ? "ui-chip ui-chip-on" : "ui-chip"}>
          <input
            class="visually-hidden"
            type="radio"
            name={label}
            checked={item.value === value}
            onChange={() => onChange(item.value)}
          />
          {item.label}
          {item.count !== undefined && <span class="ui-chip-count num"> {number(item.count)}</span>}
        </label>
      ))}
    </fieldset>
  );
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | null;
  /** The control's id, for its label. */
  for?: string;
  children: ComponentChildren;
}

export function Field({ label, hint, error, for: target, children }: FieldProps) {
  return (
    <div class="ui-field">
      <label class="ui-field-label" for={target}>
        {label}
      </label>
      {children}
      {hint && !error && <p class="ui-field-hint">{hint}</p>}
      {error && (
        <p class="ui-field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

/** Handles a form's submission by `act`, without leaving the page. */
export const submits =
  (act: () => unknown) =>
  (event: Event): void => {
    event.preventDefault();
    void act();
  };

type Value = string | number;

interface SelectProps extends Pick<ComponentProps<"select">, "id" | "aria-label"> {
  value: Value;
  /** The values with their labels; null and false count for nothing. */
  options: readonly (readonly [value: Value, label: string] | null | false)[];
  onChange: (value: string) => void;
  class?: string;
}

export function Select({ options, onChange, class: extra = "", ...rest }: SelectProps) {
  return (
    <select
      {...rest}
      class={`ui-input ${extra}`.trimEnd()}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      {options.map(
        (option) =>
          option && (
            <option key={option[0]} value={option[0]}>
              {option[1]}
            </option>
          ),
      )}
    </select>
  );
}
