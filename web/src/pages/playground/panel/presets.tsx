/** The presets: choose one, save the current settings as a new one, delete one. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import {
  BUILT_IN,
  MAX_NAME,
  ownPreset,
  type Preset,
  presetOf,
  readOwn,
  withPreset,
} from "../../../chat/model/presets";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { PRESETS, readStored, writeStored } from "../../../lib/storage";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { Chips } from "../../../ui/controls/switch";

const own = signal<readonly Preset[]>(readOwn(readStored(PRESETS)));

/** Changes the stored list, which another tab may have changed; false when it cannot be stored. */
function keep(change: (list: readonly Preset[]) => Preset[]): boolean {
  own.value = change(readOwn(readStored(PRESETS, own.peek())));
  return writeStored(PRESETS, own.peek());
}

export function Presets() {
  const { params, system } = current.value;
  const all = [...BUILT_IN, ...own.value];
  const chosen = presetOf(all, params, system);
  const [name, setName] = useState<string | null>(null);
  const choose = (wanted: string): void => {
    const preset = all.findLast((each) => each.name === wanted);
    if (preset)
      changeCurrent({
        ...current.peek(),
        params: preset.params,
        system: preset.system ?? current.peek().system,
      });
  };
  const save = (): void => {
    const wanted = name?.trim();
    if (!wanted) return;
    if (BUILT_IN.some((each) => each.name.toLowerCase() === wanted.toLowerCase()))
      return say(`${wanted} is one of Studio's own presets: choose another name`);
    const kept = keep((list) => withPreset(list, ownPreset(wanted, params, system)));
    say(
      kept
        ? `Preset ${wanted} saved`
        : "This browser stores nothing for Studio: the preset is gone after a reload",
    );
    setName(null);
  };
  const mine = chosen !== null && own.value.includes(chosen);
  return (
    <>
      <Chips
        label="Preset"
        value={chosen?.name ?? ""}
        items={all.map((each) => ({ value: each.name, label: clean(each.name, MAX_NAME) }))}
        onChange={choose}
      />
      <div class="pg-preset-line">
        <p class="hint">{chosen?.hint ?? "Settings of your own"}</p>
        {mine && (
          <Button
            kind="quiet"
            small
            onClick={() => keep((list) => list.filter((each) => each.name !== chosen.name))}
          >
            Delete preset
          </Button>
        )}
        {!mine && name === null && (
          <Button kind="quiet" small onClick={() => setName("")}>
            Save as preset
          </Button>
        )}
      </div>
      {name !== null && (
        <form
          class="pg-preset-form"
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <input
            class="ui-input"
            aria-label="Name of the preset"
            placeholder="Name"
            maxLength={MAX_NAME}
            value={name}
            ref={focusOnce}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Escape") return;
              event.preventDefault();
              setName(null);
            }}
          />
          <Button small type="submit" disabled={name.trim() === ""}>
            Save
          </Button>
        </form>
      )}
    </>
  );
}

const focusOnce = (field: HTMLInputElement | null): void => field?.focus();
