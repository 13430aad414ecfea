/** The presets: choose one, save the current settings as a new one, delete one. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { BUILT_IN, MAX_NAME, type Preset, presetOf, readOwn } from "../../../chat/model/presets";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { late } from "../../../lib/late";
import { PRESETS, readStored, writeStored } from "../../../lib/storage";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { Chips } from "../../../ui/controls/switch";

const useForm = late(() => import("./preset-form"));
const own = signal<readonly Preset[]>(readOwn(readStored(PRESETS)));

/** Changes the stored list, which another tab may have changed; false if it cannot be stored. */
function keep(change: (list: readonly Preset[]) => Preset[]): boolean {
  own.value = change(readOwn(readStored(PRESETS, own.peek())));
  return writeStored(PRESETS, own.peek());
}

export function Presets() {
  const { params, system } = current.value;
  const all = [...BUILT_IN, ...own.value];
  const chosen = presetOf(all, params, system);
  const [naming, setNaming] = useState(false);
  const form = useForm(naming);
  const choose = (presetName: string): void => {
    const preset = all.findLast((entry) => entry.name === presetName);
    if (preset)
      changeCurrent({
        ...current.peek(),
        params: preset.params,
        system: preset.system ?? current.peek().system,
      });
  };
  const mine = chosen !== null && own.value.includes(chosen);
  return (
    <>
      <Chips
        label="Preset"
        value={chosen?.name ?? ""}
        items={all.map((entry) => ({ value: entry.name, label: clean(entry.name, MAX_NAME) }))}
        onChange={choose}
      />
      <div class="pg-preset-line">
        <p class="hint">{chosen?.hint ?? "Settings of your own"}</p>
        {mine && (
          <Button
            kind="quiet"
            small
            onClick={() => keep((list) => list.filter((entry) => entry.name !== chosen.name))}
          >
            Delete preset
          </Button>
        )}
        {/* Keeps the focus until the form has loaded: keys would go to the page. */}
        {!mine && !form && (
          <Button kind="quiet" small onClick={() => setNaming(true)}>
            Save as preset
          </Button>
        )}
      </div>
      {form && <form.PresetForm keep={keep} onDone={() => setNaming(false)} />}
    </>
  );
}
