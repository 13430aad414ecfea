/** The list of conversations and the one that is open, kept in step with the browser's storage. */
import { computed, signal } from "@preact/signals";
import { CHAT_SETTINGS, readStored, writeStored } from "../../lib/storage";
import { project } from "../../store/credentials";
import { DEFAULT_PARAMS, ownPreset } from "../presets";
import { branch, columnsOf, shownTargets, withStored } from "../tree";
import type { Answer, Conversation, Params, Target } from "../types";
import { listStored, load, remove, type Summary, store, summarize } from "./db";
import { answered, hear, isAnswered, tell } from "./tabs";
import { leaveBehind, pickUp } from "./unsaved";

const TROUBLES: Readonly<Record<string, string>> = {
  QuotaExceededError:
    "This browser has no room left, so new messages will be gone after a reload. Export or delete conversations to make room.",
  VersionError:
    "A newer Arkor Studio has stored this browser's conversations in a form that this one cannot read. They stay as they are; new messages will be gone after a reload.",
};
const NO_STORAGE =
  "This browser does not let Studio store conversations, so they will be gone after a reload.";
const troubleOf = (error: unknown): string =>
  (error instanceof DOMException && TROUBLES[error.name]) || NO_STORAGE;

const all = signal<readonly Summary[]>([]);

/** The conversations of this project, and those of which nobody knows whose they are; newest first. */
export const summaries = computed(() => {
  const here = project.value;
  return all.value.filter(
    (each) => here === undefined || each.project === undefined || each.project === here,
  );
});

/** Why conversations are not kept, for the person to read; null while they are. */
export const storageTrouble = signal<string | null>(null);

export const current = signal<Conversation>(fresh([], ...storedSettings()));

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

/** A new conversation that asks the targets that are shown, with the settings that all begin with. */
export function afresh(): Conversation {
  writeStored(CHAT_SETTINGS, null);
  return fresh(shownTargets(current.peek()), DEFAULT_PARAMS, "");
}

/** Conversations that this page has had open: newer than what is stored, for as long as the page lives. */
const seen = new Map<string, Conversation>();

/** How this tab asks, from before the first question on: parameters and system prompt. */
function storedSettings(): [Params, string] {
  const stored = readStored(CHAT_SETTINGS);
  const { params, system } = ownPreset("", stored.params, stored.system);
  return [params, system ?? ""];
}

/** Changes the open conversation, and stores it once it holds a turn. */
export function change(next: Conversation): void {
  const { params, system } = current.peek();
  current.value = next;
  if (next.params !== params || next.system !== system) writeStored(CHAT_SETTINGS, next);
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
  const others = all.peek().filter((each) => each.id !== conversation.id);
  all.value = [summarize(conversation), ...others].sort((a, b) => b.updated - a.updated);
  writing ??= write().finally(() => {
    writing = null;
  });
}

async function write(): Promise<void> {
  for (let next = first(); next; next = first()) {
    try {
      await store(next);
      tell({ id: next.id });
      storageTrouble.value = null;
    } catch (error) {
      storageTrouble.value = troubleOf(error);
    }
    if (unsaved.get(next.id) === next) unsaved.delete(next.id);
  }
}

/** Resolves when everything is stored, or could not be. */
export const saved = async (): Promise<void> => void (await writing);

const first = (): Conversation | undefined => unsaved.values().next().value;

for (const conversation of pickUp()) keep(settle(conversation));
globalThis.addEventListener?.("pagehide", () => leaveBehind([...unsaved.values()]));
// A page that was only set aside goes on writing by itself.
globalThis.addEventListener?.("pageshow", (event) => event.persisted && pickUp());

export async function readConversations(): Promise<void> {
  try {
    const stored = (await listStored()).filter(({ id }) => !unsaved.has(id));
    all.value = [...[...unsaved.values()].map(summarize), ...stored].sort((a, b) => b.updated - a.updated);
  } catch (error) {
    storageTrouble.value = troubleOf(error);
  }
}

const find = async (id: string): Promise<Conversation | undefined> =>
  seen.get(id) ?? (await load(id).catch(() => undefined));

/** Every conversation of the list, newest first. */
export async function everyConversation(): Promise<Conversation[]> {
  const found = await Promise.all(summaries.peek().map(({ id }) => find(id)));
  return found.filter((each) => each !== undefined);
}

/** What was asked last: in the open conversation, else in the newest one; null before the first question. */
export async function lastQuestion(): Promise<string | null> {
  if (current.peek().leaf === null && summaries.peek().length === 0) await readConversations();
  const newest = summaries.peek()[0];
  const conversation = current.peek().leaf === null && newest ? await find(newest.id) : current.peek();
  return (conversation && branch(conversation).at(-1)?.user) ?? null;
}

/** Opens a conversation; false when it is gone. */
export async function open(id: string): Promise<boolean> {
  const found = await find(id);
  if (!found) return false;
  const elsewhere = !seen.has(id) && (await isAnswered(id));
  if (!seen.has(id)) seen.set(id, elsewhere ? found : settle(found));
  current.value = seen.get(id) ?? found;
  if (elsewhere) void answered(id).then(() => refresh(id));
  return true;
}

/** Takes over what other tabs have stored of a conversation that this page has had open. */
async function refresh(id: string): Promise<void> {
  const [stored, elsewhere] = await Promise.all([load(id).catch(() => undefined), isAnswered(id)]);
  const known = seen.get(id);
  if (!known || !stored) return;
  // Where the other tab went on from what is shown here, the reader goes along.
  const leaf = branch(stored).some((turn) => turn.id === known.leaf) ? stored.leaf : known.leaf;
  const merged = { ...withStored(known, stored), leaf };
  seen.set(id, elsewhere ? merged : settle(merged));
  if (current.peek().id === id) current.value = seen.get(id)!;
}

hear(({ id, gone }) => {
  void readConversations();
  if (!gone) return void refresh(id);
  seen.delete(id);
  if (current.peek().id === id) current.value = afresh();
});

/** An answer that was streaming when its page was closed is cut: nothing will be added to it. */
function settle(conversation: Conversation): Conversation {
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
  tell({ id, gone: true });
  all.value = all.peek().filter((each) => each.id !== id);
}
