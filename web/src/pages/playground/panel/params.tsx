/** Temperature, top-p and length, by preset or one by one. */
import { BOUNDS, bounded } from "../../../chat/model/presets";
import type { Params } from "../../../chat/model/types";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { LazyMore } from "./lazy-more";
import { NumberField } from "./number-field";
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
        <NumberField
          key={name}
          id={`pg-${name}`}
          label={NAMES[name]}
          value={params[name]}
          {...BOUNDS[name]}
          slider={name !== "maxTokens"}
          bounded={(value) => bounded(name, value)}
          onChange={(value) => set({ ...current.peek().params, [name]: bounded(name, value) })}
        />
      ))}
      <LazyMore />
    </section>
  );
}
