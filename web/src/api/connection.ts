/** Whether the daemon and the backend behind it answer, and how the page reacts if they do not. */
import { computed, signal } from "@preact/signals";

type Connection = "connecting" | "live" | "stale" | "gone";

const daemon = signal<"unknown" | "here" | "gone">("unknown");

/** Seconds since the backend last responded, according to the daemon; null while it does. */
export const staleSeconds = signal<number | null>(null);

/** The latest message of the backend, or of the connection to it, when a list could not be read. */
export const backendTrouble = signal<string | null>(null);

/** The backend's status for that error; null if it did not respond. */
export const backendStatus = signal<number | null>(null);

/** Status 426, Upgrade Required: the backend does not support this version of Studio. */
export const OUTDATED = 426;

export const connection = computed<Connection>(() => {
  if (daemon.value === "gone") return "gone";
  if (daemon.value === "unknown") return "connecting";
  return staleSeconds.value !== null || backendTrouble.value !== null ? "stale" : "live";
});

const RETRY_MS = 1000;
const RELOAD_PAUSE_MS = 5000;
let waiting = false;

export function daemonAnswered(): void {
  if (waiting) return;
  daemon.value = "here";
}

/**
 * A request got no response. The page is requested until the daemon responds. After a restart it is reloaded; otherwise
 * only the connection was interrupted, and it continues.
 */
export function daemonGone(): void {
  if (waiting) return;
  waiting = true;
  const ask = async (): Promise<void> => {
    try {
      const answer = await fetch("/", { cache: "no-store" });
      if (answer.ok) {
        const token =
          document.querySelector<HTMLMetaElement>('meta[name="arkor-studio-token"]')?.content ?? "";
        if (!(await answer.text()).includes(token)) return reload();
        waiting = false;
        daemon.value = "here";
        return;
      }
    } catch {
      // Still away.
    }
    daemon.value = "gone";
    setTimeout(ask, RETRY_MS);
  };
  void ask();
}

/** The daemon was restarted while this page slept: only a new page has the new token. */
export function tokenExpired(): void {
  reload();
}

/** Reloads this tab, but not in a loop: if it still fails right after a reload, something else is the cause. */
function reload(): void {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const wait = navigation?.type === "reload" ? Math.max(0, RELOAD_PAUSE_MS - performance.now()) : 0;
  setTimeout(() => location.reload(), wait);
}
