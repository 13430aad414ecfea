/** Temperature, top-p and length, by preset or each by itself. */
import { bounded, BOUNDS } from "../../chat/presets";
import { change, current } from "../../chat/shelf";
import type { Params } from "../../chat/types";
import { Presets } from "./presets";

const NAMES: Readonly<Record<keyof Params, string>> = { temperature: "Temperature", topP: "Top-p", maxTokens: "Max tokens" };

const set = (params: Params): void => change({ ...current.peek(), params });

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

function Param({ name, value, onChange }: { name: keyof Params; value: number; onChange: (value: number) => void }) {
  const { min, max, step } = BOUNDS[name];
  const id = `pg-${name}`;
  return (
    <div class="pg-param">
      <label for={id}>{NAMES[name]}</label>
      <input
        id={id}
        class="ui-input num"
        type="number"
        min={min}
        max={max}
        step={step}
        value={value}
        onChange={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      {name !== "maxTokens" && (
        <input
          type="range"
          aria-label={NAMES[name]}
          min={min}
          max={max}
          step={step}
          value={value}
          onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
        />
      )}
    </div>
  );
}
