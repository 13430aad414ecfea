/** One polite live region for the whole page: states and results, never streaming tokens or lines. */
import { signal } from "@preact/signals";
import { Button } from "./button";
import "./live.css";

const SHOWN_MS = 4000;
/** Longer, since there is something to press. */
const OFFERED_MS = 20_000;

interface Offer {
  label: string;
  run: () => void;
}

const announcement = signal("");
const message = signal("");
const offered = signal<Offer | null>(null);
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

/** Announces `text` and shows it for a moment, with a button for `offer`: for results that leave no other trace on the page. */
export function say(text: string, offer: Offer | null = null): void {
  announce(text);
  message.value = text;
  offered.value = offer;
  clearTimeout(hiding);
  hiding = setTimeout(
    () => {
      message.value = "";
    },
    offer ? OFFERED_MS : SHOWN_MS,
  );
}

export function LiveRegion() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
      {message.value && (
        <p class="ui-said">
          <span aria-hidden="true">{message}</span>
          {offered.value && (
            <Button small onClick={offered.value.run}>
              {offered.value.label}
            </Button>
          )}
        </p>
      )}
    </>
  );
}
