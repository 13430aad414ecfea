/** One polite live region for the whole page: states and results, never streaming tokens or lines. */
import { signal } from "@preact/signals";
import "./live.css";

const SHOWN_MS = 4000;

const announcement = signal("");
const message = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;
let hiding: ReturnType<typeof setTimeout> | undefined;

/** Announces `text` to screen readers; the same text again is announced again. */
export function announce(text: string): void {
  announcement.value = "";
  clearTimeout(timer);
  timer = setTimeout(() => {
    announcement.value = text;
  }, 60);
}

/** Announces `text` and shows it for a moment: for results that leave no other trace on the page. */
export function say(text: string): void {
  announce(text);
  message.value = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    message.value = "";
  }, SHOWN_MS);
}

export function LiveRegion() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
      {message.value && (
        <p class="ui-said" aria-hidden="true">
          {message}
        </p>
      )}
    </>
  );
}
