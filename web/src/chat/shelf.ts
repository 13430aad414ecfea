/** The list of conversations and the one that is open, kept in step with the browser's storage. */
import { signal } from "@preact/signals";
import { listStored, load, remove, store, type Summary, summarize } from "./db";
import { DEFAULT_PARAMS } from "./presets";
import { branch, columnsOf } from "./tree";
import type { Answer, Conversation, Params, Target } from "./types";
import { leaveBehind, pickUp } from "./unsaved";

const NO_STORAGE = "This browser does not let Studio store conversations, so they will be gone after a reload.";

/** Newest first. */
export const summaries = signal<readonly Summary[]>([]);

/** Why conversations are not kept, for the person to read; null while they are. */
export const storageTrouble = signal<string | null>(null);

export const current = signal<Conversation>(fresh([], DEFAULT_PARAMS, ""));

export function newId(): string {
  return crypto.randomUUID();
}

export function fresh(targets: readonly Target[], params: Params, system: string): Conversation {
  const now = Date.now();
  return {
    id: newId(),
    created: now,
    updated: now,
    system,
    params,
    targets: [...targets],
    columns: columnsOf(targets),
    turns: {},
    leaf: null,
  };
}

/** Conversations that this page has had open: newer than what is stored, for as long as the page lives. */
const seen = new Map<string, Conversation>();

/** Changes the open conversation, and stores it once it holds a turn. */
export function change(next: Conversation): void {
  current.value = next;
  keep(next);
}

/** Changes a conversation that this page has had open, whether it still is or not. */
export function changeById(id: string, by: (conversation: Conversation) => Conversation): void {
  if (current.peek().id === id) return change(by(current.peek()));
  const known = seen.get(id);
  if (known) keep(by(known));
}

/** Writes come one after another; of those that wait, only a conversation's last one is made. One stays here until it is stored. */
const unsaved = new Map<string, Conversation>();
let writing: Promise<void> | null = null;

function keep(conversation: Conversation): void {
  if (conversation.leaf === null) return;
  seen.set(conversation.id, conversation);
  unsaved.set(conversation.id, conversation);
  const others = summaries.peek().filter((each) => each.id !== conversation.id);
  summaries.value = [summarize(conversation), ...others].sort((a, b) => b.updated - a.updated);
  writing ??= write().finally(() => {
    writing = null;
  });
}

async function write(): Promise<void> {
  for (let next = first(); next; next = first()) {
    try {
      await store(next);
      storageTrouble.value = null;
    } catch (error) {
      storageTrouble.value =
        error instanceof DOMException && error.name === "QuotaExceededError"
          ? "This browser has no room left, so new messages will be gone after a reload. Export or delete conversations to make room."
          : NO_STORAGE;
    }
    if (unsaved.get(next.id) === next) unsaved.delete(next.id);
  }
}

const first = (): Conversation | undefined => unsaved.values().next().value;

for (const conversation of pickUp()) keep(settle(conversation));
globalThis.addEventListener?.("pagehide", () => leaveBehind(unsaved.values()));
// A page that was only set aside goes on writing by itself.
globalThis.addEventListener?.("pageshow", (event) => event.persisted && pickUp());

export async function readShelf(): Promise<void> {
  try {
    summaries.value = await listStored();
  } catch {
    storageTrouble.value = NO_STORAGE;
  }
}

const find = async (id: string): Promise<Conversation | undefined> => seen.get(id) ?? (await load(id).catch(() => undefined));

/** Every conversation of the list, newest first. */
export async function everyConversation(): Promise<Conversation[]> {
  const all = await Promise.all(summaries.peek().map(({ id }) => find(id)));
  return all.filter((each) => each !== undefined);
}

/** What was asked last: in the open conversation, else in the newest one; null before the first question. */
export async function lastQuestion(): Promise<string | null> {
  if (current.peek().leaf === null && summaries.peek().length === 0) await readShelf();
  const newest = summaries.peek()[0];
  const conversation = current.peek().leaf === null && newest ? await find(newest.id) : current.peek();
  return (conversation && branch(conversation).at(-1)?.user) ?? null;
}

/** Opens a conversation; false when it is gone. */
export async function open(id: string): Promise<boolean> {
  const found = await find(id);
  if (!found) return false;
  if (!seen.has(id)) seen.set(id, settle(found));
  current.value = seen.get(id) ?? found;
  return true;
}

/** An answer that was streaming when its page was closed is cut: nothing will be added to it. */
export function settle(conversation: Conversation): Conversation {
  const settled = (answer: Answer | null): Answer | null =>
    answer?.state === "streaming"
      ? { ...answer, state: "cut", error: "The page was closed before the answer was complete." }
      : answer;
  const turns = Object.entries(conversation.turns).map(
    ([id, turn]) => [id, { ...turn, answers: turn.answers.map(settled) }] as const,
  );
  return { ...conversation, turns: Object.fromEntries(turns) };
}

/** Deletes a conversation here and in the browser's storage. */
export async function forget(id: string): Promise<void> {
  unsaved.delete(id);
  seen.delete(id);
  await writing;
  await remove([id]).catch(() => undefined);
  summaries.value = summaries.peek().filter((each) => each.id !== id);
}
