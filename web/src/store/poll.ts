/** Asks again and again, but only as often as somebody looks: at `every` while visible, at `hidden` (or never) in the background. */

import { connection } from "../api/connection";

const GONE_MS = 1000;

export interface Poll {
  /** Asks anew; an answer that is on its way was asked for too early to count. */
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
    // While nobody is there one loop asks for the daemon itself; once it is found, all is asked for at once.
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
