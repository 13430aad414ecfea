/**
 * Conversations in this browser (IndexedDB). The list is stored separately from the bodies, so that opening the page
 * reads little. Number and size are limited; missing storage or space is reported to the user.
 */
import { isObject } from "../../lib/json";
import { mergeStored, titleOf } from "../model/tree";
import type { Conversation } from "../model/types";
import { isConversation } from "./check";

export interface Summary {
  id: string;
  title: string;
  updated: number;
  /** Length of its texts, in UTF-16 units. */
  size: number;
  project?: string | undefined;
}

const MAX_CONVERSATIONS = 200;
const MAX_SIZE = 40_000_000;

const NAME = "arkor-studio";
const BODIES = "conversations";
const LIST = "list";

/**
 * Each migrates the database by one version; the browser rolls back a failed one. A database of a newer version is not
 * opened (`VersionError`), and so stays unchanged.
 */
const UPGRADES: readonly ((db: IDBDatabase) => void)[] = [
  (db) => {
    for (const store of [BODIES, LIST]) db.createObjectStore(store, { keyPath: "id" });
  },
];

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

/** The conversations to delete, oldest first, so that the rest fit; never `keep`. */
export function idsToDelete(
  list: readonly Summary[],
  keep: string,
  count = MAX_CONVERSATIONS,
  size = MAX_SIZE,
): string[] {
  const oldest = [...list].sort((a, b) => a.updated - b.updated).filter((entry) => entry.id !== keep);
  let remaining = list.length;
  let total = list.reduce((sum, entry) => sum + entry.size, 0);
  const gone: string[] = [];
  for (const entry of oldest) {
    if (remaining <= count && total <= size) break;
    gone.push(entry.id);
    remaining -= 1;
    total -= entry.size;
  }
  return gone;
}

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opened ??= (async () => {
    const request = indexedDB.open(NAME, UPGRADES.length);
    request.onupgradeneeded = ({ oldVersion }) => {
      for (const upgrade of UPGRADES.slice(oldVersion)) upgrade(request.result);
    };
    const db = await resultOf(request);
    // A newer page in another tab can migrate the database only after this one has closed it.
    db.onversionchange = () => {
      db.close();
      opened = undefined;
    };
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
  const list: unknown[] = await resultOf((await database()).transaction(LIST).objectStore(LIST).getAll());
  return list.filter(isSummary).sort((a, b) => b.updated - a.updated);
}

function isSummary(value: unknown): value is Summary {
  if (!isObject(value)) return false;
  const { id, title, updated, size } = value;
  return (
    typeof id === "string" && typeof title === "string" && Number.isFinite(updated) && Number.isFinite(size)
  );
}

/** A conversation; undefined if it is missing or unreadable. */
export async function load(id: string): Promise<Conversation | undefined> {
  const row: unknown = await resultOf((await database()).transaction(BODIES).objectStore(BODIES).get(id));
  return isConversation(row) ? row : undefined;
}

export async function remove(ids: readonly string[]): Promise<void> {
  await write((bodies, list) => {
    for (const id of ids) {
      bodies.delete(id);
      list.delete(id);
    }
  });
}

/** Stores a conversation, merged with what another tab has added to it. */
const put = (conversation: Conversation): Promise<void> =>
  write((bodies, list) => {
    const stored: IDBRequest<unknown> = bodies.get(conversation.id);
    stored.onsuccess = () => {
      const merged = isConversation(stored.result) ? mergeStored(conversation, stored.result) : conversation;
      bodies.put(merged);
      list.put(summarize(merged));
    };
  });

/** Stores a conversation and deletes the oldest beyond the limits; out of space, the older half. */
export async function store(conversation: Conversation): Promise<void> {
  try {
    await put(conversation);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "QuotaExceededError")) throw error;
    const list = await listStored();
    await remove(idsToDelete(list, conversation.id, Math.floor(list.length / 2)));
    await put(conversation);
  }
  const gone = idsToDelete(await listStored(), conversation.id);
  if (gone.length > 0) await remove(gone);
}
