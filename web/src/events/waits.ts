/** Retry delays, and waiting for a lock, for more data or for a hidden tab, as event streams need them. */
import { locked } from "../lib/locks";

const HIDDEN_MS = 10_000;
const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 15_000;

/** Whether the promise is settled already. Browsers never join the server's writes: each is its own chunk. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  promise.then(mark, mark);
  await null;
  await null;
  return done;
}

/** Milliseconds before attempt `failures` + 1: doubling to 15 s, with full jitter in the upper half. */
export function retryDelay(failures: number, random: () => number = Math.random): number {
  const most = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
  return most / 2 + (random() * most) / 2;
}

/** Lets one tab at a time read briefly, so that the other connections stay free for short calls. */
export async function inOneTab(signal: AbortSignal, read: () => Promise<void>): Promise<void> {
  await locked("arkor.short-read", { signal }, read);
}

/** Calls `leave` once the tab has been hidden for a while. Returns a function that stops listening. */
export function whenHidden(leave: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(leave, HIDDEN_MS);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}
