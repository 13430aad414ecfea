/** One polite live region for the whole page: states and results, never the flow of tokens or lines. */
import { signal } from "@preact/signals";

const said = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says `text` to a screen reader; the same text again is said again. */
export function announce(text: string): void {
  said.value = "";
  clearTimeout(timer);
  timer = setTimeout(() => {
    said.value = text;
  }, 60);
}

export function LiveRegion() {
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {said}
    </div>
  );
}
