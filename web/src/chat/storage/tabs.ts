/** Conversations in several tabs of one browser: reports what was stored or deleted, and which are being answered. */
import { heldLocks, locked } from "../../lib/locks";

const CHANNEL = "arkor.conversations";

interface ConversationChange {
  id: string;
  /** It was deleted; otherwise part of it was stored. */
  gone?: boolean;
}

const channel = openChannel();

/** null if the browser has none, or refuses it because cookies are blocked: then tabs are unaware of each other. */
function openChannel(): BroadcastChannel | null {
  try {
    return new BroadcastChannel(CHANNEL);
  } catch {
    return null;
  }
}

export const broadcast = (news: ConversationChange): void => channel?.postMessage(news);

const PAUSE_MS = 200;

/** Calls `on` once per changed conversation, not for every write while a slider moves. */
export function onBroadcast(on: (news: ConversationChange) => void): void {
  const heard = new Map<string, ConversationChange>();
  channel?.addEventListener("message", ({ data }: MessageEvent<ConversationChange>) => {
    if (heard.size === 0)
      setTimeout(() => {
        const all = [...heard.values()];
        heard.clear();
        all.forEach(on);
      }, PAUSE_MS);
    heard.set(data.id, data);
  });
}

const lockName = (id: string): string => `arkor.answering.${id}`;

/** Runs `work`, an answer, while holding a lock that other tabs can see; the browser releases it with the tab. */
export function whileAnswering<T>(id: string, work: () => Promise<T>): Promise<T> {
  return locked(lockName(id), { mode: "shared" }, work);
}

/** Whether any tab, including this one, is receiving an answer of the conversation. */
export async function isBeingAnswered(id: string): Promise<boolean> {
  return (await heldLocks()).includes(lockName(id));
}

/** Resolves when no tab is receiving an answer of the conversation. */
export async function answersEnded(id: string): Promise<void> {
  await locked(lockName(id), {}, () => undefined);
}
