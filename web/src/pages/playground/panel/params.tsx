/** Temperature, top-p and length, by preset or one by one. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { BOUNDS, bounded } from "../../../chat/model/presets";
import type { Params } from "../../../chat/model/types";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { number } from "../../../lib/format";
import { Range } from "../../../ui";
import { Presets } from "./presets";

export const NAMES: Readonly<Record<keyof Params, string>> = {
  temperature: "Temperature",
  topP: "Top-p",
  maxTokens: "Max tokens",
};

const set = (params: Params): void => changeCurrent({ ...current.peek(), params });

export function ParamFields() {
  const { params } = current.value;
  return (
    <section class="pg-section" aria-labelledby="pg-sampling">
      <h2 class="pg-section-title" id="pg-sampling">
        Sampling
      </h2>
      <Presets />
      {(Object.keys(NAMES) as (keyof Params)[]).map((name) => (
        <Param
          key={name}
          name={name}
          value={params[name]}
          onChange={(value) => set({ ...current.peek().params, [name]: bounded(name, value) })}
        />
      ))}
    </section>
  );
}

interface ParamProps {
  name: keyof Params;
  value: number;
  onChange: (value: number) => void;
}

function Param({ name, value, onChange }: ParamProps) {
  const { min, max, step } = BOUNDS[name];
  const field = useRef<HTMLInputElement>(null);
  /** Whether the field's text is not a valid value. */
  const [wrong, setWrong] = useState(false);
  const [note, setNote] = useState("");
  const id = `pg-${name}`;
  // Does not rewrite the field while one types: in Firefox that would remove the point of `9.5`.
  useLayoutEffect(() => {
    if (document.activeElement !== field.current) field.current!.value = String(value);
  }, [value]);
  const take = (next: number): void => {
    setWrong(false);
    setNote("");
    onChange(next);
  };
  const typing = ({ valueAsNumber: given }: HTMLInputElement): void => {
    if (given === bounded(name, given)) return take(given);
    setWrong(true);
    setNote(`A ${step === 1 ? "whole number" : "number"} from ${number(min)} to ${number(max)}.`);
  };
  const left = (input: HTMLInputElement): void => {
    const given = input.valueAsNumber;
    const next = Number.isNaN(given) ? value : bounded(name, given);
    input.value = String(next);
    if (!wrong) return setNote("");
    take(next);
    setNote(corrected(name, given, next));
  };
  return (
    <div class="pg-param">
      <label for={id}>{NAMES[name]}</label>
      <input
        ref={field}
        id={id}
        class="ui-input num"
        type="number"
        min={min}
        max={max}
        step={step}
        aria-invalid={wrong}
        aria-describedby={note ? `${id}-note` : undefined}
        onInput={(event) => typing(event.currentTarget)}
        onBlur={(event) => left(event.currentTarget)}
      />
      {note && (
        <p id={`${id}-note`} class="pg-param-note" role="status">
          {note}
        </p>
      )}
      {name !== "maxTokens" && (
        <Range label={NAMES[name]} min={min} max={max} step={step} value={value} onInput={take} />
      )}
    </div>
  );
}

/** Says how an invalid text was corrected. */
function corrected(name: keyof Params, given: number, taken: number): string {
  const { min, max, step } = BOUNDS[name];
  if (Number.isNaN(given)) return `That was no number, so it stays ${number(taken)}.`;
  if (given > max) return `${number(given)} is too high, so it is ${number(taken)} now.`;
  if (given < min) return `${number(given)} is too low, so it is ${number(taken)} now.`;
  return step === 1
    ? `Whole numbers only, so it is ${number(taken)} now.`
    : `Three decimals at most, so it is ${number(taken)} now.`;
}
