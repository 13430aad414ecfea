/** What is requested again until it is known. */
import { effect } from "@preact/signals";

/**
 * Calls `ask` now and whenever a signal that `due` reads changes, if `due` is true; never twice at a time. A change
 * while it is under way counts: its answer may be about the time before.
 */
export function askWhenever(due: () => boolean, ask: () => Promise<void>): void {
  let busy = false;
  let changed = false;
  const run = (): void => {
    busy = true;
    changed = false;
    void ask().finally(() => {
      busy = false;
      if (changed && due()) run();
    });
  };
  effect(() => {
    if (!due()) return;
    if (busy) changed = true;
    else run();
  });
}
