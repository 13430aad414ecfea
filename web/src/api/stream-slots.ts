import { locked } from "../lib/locks";

/**
 * A browser allows six connections to one host, over all its tabs. An open stream takes one, so the tabs of this origin
 * share three slots; the other connections stay free for short calls. A worker could share one stream, but a policy
 * with `trusted-types 'none'` allows no worker.
 */
const SLOTS = 3;

/**
 * Runs `use` while holding a slot, or waits until one is free. `use` gets a signal that aborts with `signal`. With
 * `wait: false` it returns null immediately if no slot is free: the caller then polls.
 */
export async function withStream<T>(
  signal: AbortSignal,
  use: (signal: AbortSignal) => Promise<T>,
  { wait = true }: { wait?: boolean } = {},
): Promise<T | null> {
  while (true) {
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const lock = await locked(`arkor.stream.${slot}`, { ifAvailable: true }, async (held) =>
        held ? { value: await use(signal) } : null,
      );
      if (lock) return lock.value;
    }
    if (!wait) return null;
    await pause(500, signal);
  }
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Ends when the tab is hidden: a hidden tab gives its stream back and catches up when it is shown. */
export function hiddenSignal(): AbortSignal {
  const hidden = new AbortController();
  const look = (): void => {
    if (!document.hidden) return;
    document.removeEventListener("visibilitychange", look);
    hidden.abort();
  };
  document.addEventListener("visibilitychange", look);
  look();
  return hidden.signal;
}

/** Resolves when the tab is visible: hidden tabs leave the connections to visible ones. */
export async function tabVisible(signal: AbortSignal): Promise<void> {
  if (!document.hidden) return;
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      document.removeEventListener("visibilitychange", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    document.addEventListener("visibilitychange", done);
    signal.addEventListener("abort", done, { once: true });
  });
}
