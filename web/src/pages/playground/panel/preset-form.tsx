/** The name under which the current settings are saved as a preset. */
import { useState } from "preact/hooks";
import { BUILT_IN, MAX_NAME, ownPreset, type Preset, withPreset } from "../../../chat/model/presets";
import { current } from "../../../chat/storage/conversations";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { submits } from "../../../ui/controls/switch";

interface Props {
  /** Changes the stored list; false if it cannot be stored. */
  keep: (change: (list: readonly Preset[]) => Preset[]) => boolean;
  onDone: () => void;
}

export function PresetForm({ keep, onDone }: Props) {
  const [name, setName] = useState("");
  const presetName = name.trim();
  const save = (): void => {
    if (presetName === "") return;
    if (BUILT_IN.some((builtIn) => builtIn.name.toLowerCase() === presetName.toLowerCase()))
      return say(`${presetName} is one of Studio's own presets: choose another name`);
    const { params, system } = current.peek();
    const stored = keep((list) => withPreset(list, ownPreset(presetName, params, system)));
    say(
      stored
        ? `Preset ${presetName} saved`
        : "This browser stores nothing for Studio: the preset is gone after a reload",
    );
    onDone();
  };
  return (
    <form class="pg-preset-form" onSubmit={submits(save)}>
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
          onDone();
        }}
      />
      <Button small type="submit" disabled={presetName === ""}>
        Save
      </Button>
    </form>
  );
}

const focusOnce = (field: HTMLInputElement | null): void => field?.focus();
