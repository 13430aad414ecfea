/** Conversations over several tabs of one browser: what was stored or deleted elsewhere, and what is being answered there. */
import { heldLocks, locked } from "../../lib/locks";

const CHANNEL = "arkor.conversations";

interface ConversationChange {
  id: string;
  /** It was deleted; else something of it was stored. */
  gone?: boolean;
}

const channel = openChannel();

/** null where the browser has none, or refuses it because cookies are blocked: then this tab hears of no other. */
function openChannel(): BroadcastChannel | null {
  try {
    return new BroadcastChannel(CHANNEL);
  } catch {
    return null;
  }
}

export const broadcast = (news: ConversationChange): void => channel?.postMessage(news);

const PAUSE_MS = 200;

/** Calls `on` for each conversation of which there is news, not for each of the writes of a slider that is being moved. */
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

/** Does `work`, an answer, under a sign that other tabs can see; a tab that goes takes its sign along. */
export function whileAnswering<T>(id: string, work: () => Promise<T>): Promise<T> {
  return locked(lockName(id), { mode: "shared" }, work);
}

/** Whether a tab, this one included, is getting an answer of the conversation. */
export async function isBeingAnswered(id: string): Promise<boolean> {
  return (await heldLocks()).includes(lockName(id));
}

/** Resolves when no tab is getting an answer of the conversation any more. */
export async function answersEnded(id: string): Promise<void> {
  await locked(lockName(id), {}, () => undefined);
}
