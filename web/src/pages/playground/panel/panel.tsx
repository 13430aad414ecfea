/** The side panel: parameters and earlier conversations. On a phone it is a sheet. */
import { useEffect, useState } from "preact/hooks";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { Button } from "../../../ui/controls/button";
import { Dialog } from "../../../ui/dialog";
import { Conversations } from "./conversations";
import { ParamFields } from "./params";
import { StrengthFields } from "./strength";

const NARROW = "(width < 60em)";

/** Closes the panel when the window gets so narrow that it would cover the answers as a sheet. */
function useNarrow(onClose: () => void): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const media = matchMedia(NARROW);
    const changed = (): void => (media.matches ? onClose() : setNarrow(false));
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);
  return narrow;
}

export function Panel({ onClose }: { onClose: () => void }) {
  const inside = (
    <>
      <System />
      <ParamFields />
      <StrengthFields />
      <Conversations onOpened={onClose} />
    </>
  );
  if (useNarrow(onClose)) {
    return (
      <Dialog title="Settings and conversations" onClose={onClose}>
        <div class="pg-panel-sheet">{inside}</div>
      </Dialog>
    );
  }
  return (
    <aside class="pg-panel" aria-label="Settings and conversations">
      {inside}
    </aside>
  );
}

function System() {
  const conversation = current.value;
  return (
    <section class="pg-section">
      <label class="pg-section-title" for="pg-system">
        System prompt
      </label>
      <textarea
        id="pg-system"
        class="ui-input pg-system"
        rows={3}
        dir="auto"
        placeholder="None"
        value={conversation.system}
        onInput={(event) => changeCurrent({ ...current.peek(), system: event.currentTarget.value })}
      />
      {conversation.system !== "" && (
        <Button
          kind="quiet"
          small
          class="pg-clear"
          onClick={() => changeCurrent({ ...current.peek(), system: "" })}
        >
          Clear
        </Button>
      )}
    </section>
  );
}
