/** Polls: every `every()` milliseconds while the page is visible, and every `hidden()` (null: never) in the background. */

import { connection } from "../api/connection";

const GONE_MS = 1000;

export interface Poll {
  /** Polls again at once; a response to an earlier request does not count. */
  now(): Promise<void>;
  stop(): void;
}

export function poll(
  ask: () => Promise<void>,
  every: () => number,
  hidden: () => number | null = () => null,
): Poll {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | null = null;
  let stopped = false;

  const plan = (most = Infinity): void => {
    clearTimeout(timer);
    if (stopped) return;
    const wait = document.hidden ? hidden() : every();
    if (wait !== null) timer = setTimeout(() => void run(), Math.min(wait, most));
  };
  const run = (): Promise<void> => {
    // While the daemon is gone, connection.ts alone looks for it; once it is found, every poll runs at once.
    if (connection.peek() === "gone") {
      plan(GONE_MS);
      return Promise.resolve();
    }
    running ??= ask().finally(() => {
      running = null;
      plan();
    });
    return running;
  };
  const shown = (): void => {
    if (document.hidden) plan();
    else void run();
  };
  document.addEventListener("visibilitychange", shown);
  void run();
  return {
    now: () => (running ? running.then(run) : run()),
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    },
  };
}
