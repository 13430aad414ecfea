/** A bounded number as a field, and optionally as a slider. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "../../../lib/format";
import { Range } from "../../../ui/controls/range";

interface Props {
  id: string;
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  /** Shown after the field, such as `%`. */
  unit?: string;
  slider: boolean;
  /** The allowed number nearest to a given one. */
  bounded: (value: number) => number;
  onChange: (value: number) => void;
  /** Restores the default, on a double click of the slider. */
  onReset?: () => void;
}

export function NumberField(props: Props) {
  const { id, label, value, min, max, step, unit, slider, bounded, onChange, onReset } = props;
  const field = useRef<HTMLInputElement>(null);
  /** Whether the field's text is not a valid value. */
  const [wrong, setWrong] = useState(false);
  const [note, setNote] = useState("");
  // Does not rewrite the field during typing: in Firefox that would remove the point of `9.5`.
  useLayoutEffect(() => {
    if (document.activeElement !== field.current) field.current!.value = String(value);
  }, [value]);
  const take = (next: number): void => {
    setWrong(false);
    setNote("");
    onChange(next);
  };
  const typing = ({ valueAsNumber: typed }: HTMLInputElement): void => {
    if (typed === bounded(typed)) return take(typed);
    setWrong(true);
    setNote(`A ${step >= 1 ? "whole number" : "number"} from ${number(min)} to ${number(max)}.`);
  };
  const onBlur = (input: HTMLInputElement): void => {
    const entered = input.valueAsNumber;
    const next = Number.isNaN(entered) ? value : bounded(entered);
    input.value = String(next);
    if (!wrong) return setNote("");
    take(next);
    setNote(corrected(entered, next, props));
  };
  return (
    <div class="pg-param">
      <label for={id}>{unit ? `${label}, ${unit}` : label}</label>
      <input
        ref={field}
        id={id}
        class="ui-input num"
        type="number"
        min={min}
        max={max}
        step={Math.min(step, 1)}
        aria-invalid={wrong}
        aria-describedby={note ? `${id}-note` : undefined}
        onInput={(event) => typing(event.currentTarget)}
        onBlur={(event) => onBlur(event.currentTarget)}
      />
      {note && (
        <p id={`${id}-note`} class="pg-param-note" role="status">
          {note}
        </p>
      )}
      {slider && (
        <Range
          label={label}
          min={min}
          max={max}
          step={step}
          value={value}
          onInput={take}
          {...(onReset ? { onReset } : {})}
        />
      )}
    </div>
  );
}

/** Says how an invalid text was corrected. */
function corrected(entered: number, used: number, { min, max, step }: Props): string {
  if (Number.isNaN(entered)) return `Not a number; ${number(used)} is kept.`;
  if (entered > max) return `${number(entered)} is too high, so it is ${number(used)} now.`;
  if (entered < min) return `${number(entered)} is too low, so it is ${number(used)} now.`;
  return step >= 1
    ? `Whole numbers only, so it is ${number(used)} now.`
    : `Three decimals at most, so it is ${number(used)} now.`;
}
