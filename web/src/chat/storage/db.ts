/**
 * Conversations in this browser (IndexedDB): the list apart from the bodies, so that opening the page reads
 * little. Bounded in number and size; a browser without room or without storage is said, not suffered.
 */
import { titleOf, withStored } from "../tree";
import type { Conversation } from "../types";

export interface Summary {
  id: string;
  title: string;
  updated: number;
  /** UTF-16 units of its texts. */
  size: number;
  project?: string | undefined;
}

export const MAX_CONVERSATIONS = 200;
export const MAX_SIZE = 40_000_000;

const NAME = "arkor-studio";
const BODIES = "conversations";
const LIST = "list";

export function summarize(conversation: Conversation): Summary {
  const turns = Object.values(conversation.turns);
  const size = turns.reduce(
    (sum, turn) =>
      sum + turn.user.length + turn.answers.reduce((own, answer) => own + (answer?.text.length ?? 0), 0),
    conversation.system.length,
  );
  const { id, updated, project } = conversation;
  return { id, title: titleOf(conversation), updated, size, project };
}

/** The conversations to let go, oldest first, so that the rest fit; `keep` never goes. */
export function surplus(
  list: readonly Summary[],
  keep: string,
  count = MAX_CONVERSATIONS,
  size = MAX_SIZE,
): string[] {
  const oldest = [...list].sort((a, b) => a.updated - b.updated).filter((each) => each.id !== keep);
  let left = list.length;
  let total = list.reduce((sum, each) => sum + each.size, 0);
  const gone: string[] = [];
  for (const each of oldest) {
    if (left <= count && total <= size) break;
    gone.push(each.id);
    left -= 1;
    total -= each.size;
  }
  return gone;
}

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opened ??= (async () => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const store of [BODIES, LIST]) request.result.createObjectStore(store, { keyPath: "id" });
    };
    const db = await done(request);
    // Another tab with a newer page has to be able to go on.
    db.onversionchange = () => db.close();
    db.onclose = () => (opened = undefined);
    return db;
  })();
  opened.catch(() => (opened = undefined));
  return opened;
}

async function write(change: (bodies: IDBObjectStore, list: IDBObjectStore) => void): Promise<void> {
  const transaction = (await database()).transaction([BODIES, LIST], "readwrite");
  const ended = new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
  change(transaction.objectStore(BODIES), transaction.objectStore(LIST));
  await ended;
}

/** Newest first. */
export async function listStored(): Promise<Summary[]> {
  const list = (await done((await database()).transaction(LIST).objectStore(LIST).getAll())) as Summary[];
  return list.sort((a, b) => b.updated - a.updated);
}

export async function load(id: string): Promise<Conversation | undefined> {
  return (await done((await database()).transaction(BODIES).objectStore(BODIES).get(id))) as
    | Conversation
    | undefined;
}

export async function remove(ids: readonly string[]): Promise<void> {
  await write((bodies, list) => {
    for (const id of ids) {
      bodies.delete(id);
      list.delete(id);
    }
  });
}

/** Puts a conversation, with what another tab has added to it meanwhile. */
const put = (conversation: Conversation): Promise<void> =>
  write((bodies, list) => {
    const stored = bodies.get(conversation.id) as IDBRequest<Conversation | undefined>;
    stored.onsuccess = () => {
      const merged = withStored(conversation, stored.result);
      bodies.put(merged);
      list.put(summarize(merged));
    };
  });

/** Stores a conversation and lets go of what is too much; when the browser has no room, of the older half, once. */
export async function store(conversation: Conversation): Promise<void> {
  try {
    await put(conversation);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "QuotaExceededError")) throw error;
    const list = await listStored();
    await remove(surplus(list, conversation.id, Math.floor(list.length / 2)));
    await put(conversation);
  }
  const gone = surplus(await listStored(), conversation.id);
  if (gone.length > 0) await remove(gone);
}
