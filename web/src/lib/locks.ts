/**
 * Locks shared by the tabs of this origin (Web Locks). A browser may lack them or refuse them, as Firefox and Chromium
 * do if cookies are blocked: then a lock works within this tab only.
 */

/** This tab's locks in use, each with a promise that resolves when its queue is empty. */
const queues = new Map<string, Promise<void>>();

interface Options {
  /** Do not wait: `use` learns whether the lock was free. */
  ifAvailable?: boolean;
  /** Ends the waiting. */
  signal?: AbortSignal;
  mode?: LockMode;
}

/** Runs `use` while holding the lock; its argument says whether the lock is held. */
export async function locked<T>(
  name: string,
  options: Options,
  use: (held: boolean) => Promise<T> | T,
): Promise<T> {
  let begun = false;
  const first = (lock: Lock | null): Promise<T> | T => {
    begun = true;
    return use(lock !== null);
  };
  try {
    return await navigator.locks.request(name, options, first);
  } catch (error) {
    if (begun || options.signal?.aborted) throw error;
  }
  return lockedInThisTab(name, options, use);
}

/** The locks held in any tab; empty if the browser does not report them. */
export async function heldLocks(): Promise<string[]> {
  try {
    return ((await navigator.locks.query()).held ?? []).flatMap(({ name }) => name ?? []);
  } catch {
    return [];
  }
}

async function lockedInThisTab<T>(
  name: string,
  { ifAvailable, signal, mode }: Options,
  use: (held: boolean) => Promise<T> | T,
): Promise<T> {
  // A shared lock is never held exclusively, so nothing has to wait.
  if (mode === "shared") return use(true);
  const before = queues.get(name);
  if (ifAvailable && before) return use(false);
  let leave = (): void => undefined;
  const mine = new Promise<void>((resolve) => (leave = resolve));
  const last = before ? before.then(() => mine) : mine;
  queues.set(name, last);
  try {
    await before;
    signal?.throwIfAborted();
    return await use(true);
  } finally {
    leave();
    if (queues.get(name) === last) queues.delete(name);
  }
}
