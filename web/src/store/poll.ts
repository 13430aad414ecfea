/** Polls every `every()` ms while the page is visible, every `hidden()` (null: never) in the background. */

import { effect, untracked } from "@preact/signals";
import { connection } from "../api/connection";

export interface Poll {
  /** Polls now; the response to an earlier request does not count. */
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

  const plan = (): void => {
    clearTimeout(timer);
    if (stopped) return;
    const wait = document.hidden ? hidden() : every();
    if (wait !== null) timer = setTimeout(() => void run(), wait);
  };
  const run = (): Promise<void> => {
    // While the daemon is gone, only connection.ts tries to reach it; once it is back, every poll runs immediately.
    if (connection.peek() === "gone") return Promise.resolve();
    running ??= ask().finally(() => {
      running = null;
      plan();
    });
    return running;
  };
  const now = (): Promise<void> => (running ? running.then(run) : run());
  const onVisible = (): void => {
    if (document.hidden) plan();
    else void run();
  };
  let gone = false;
  const unfollow = effect(() => {
    const back = gone && connection.value !== "gone";
    gone = connection.value === "gone";
    if (back) void untracked(document.hidden ? plan : now);
  });
  document.addEventListener("visibilitychange", onVisible);
  void run();
  return {
    now,
    stop() {
      stopped = true;
      unfollow();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    },
  };
}
