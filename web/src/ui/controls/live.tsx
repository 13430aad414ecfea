/** One polite live region for the whole page: states and results, never streaming tokens or lines. */
import { signal } from "@preact/signals";
import "./live.css";

const SHOWN_MS = 4000;

const said = signal("");
const shown = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;
let hiding: ReturnType<typeof setTimeout> | undefined;

/** Announces `text` to screen readers; the same text again is announced again. */
export function announce(text: string): void {
  said.value = "";
  clearTimeout(timer);
  timer = setTimeout(() => {
    said.value = text;
  }, 60);
}

/** Announces `text` and shows it for a moment: for actions without another visible effect. */
export function say(text: string): void {
  announce(text);
  shown.value = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    shown.value = "";
  }, SHOWN_MS);
}

export function LiveRegion() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite">
        {said}
      </div>
      {shown.value && (
        <p class="ui-said" aria-hidden="true">
          {shown}
        </p>
      )}
    </>
  );
}
