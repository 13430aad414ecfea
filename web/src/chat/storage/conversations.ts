/** The list of conversations and the open one, synchronised with the browser's storage. */
import { computed, signal } from "@preact/signals";
import { CHAT_SETTINGS, readStored, writeStored } from "../../lib/storage";
import { project } from "../../store/credentials";
import { DEFAULT_PARAMS, ownPreset } from "../model/presets";
import { branch, columnsOf, mergeStored, shownTargets } from "../model/tree";
import type { Answer, Conversation, Params, Target } from "../model/types";
import { listStored, load, remove, type Summary, store, summarize } from "./db";
import { answersEnded, broadcast, isBeingAnswered, onBroadcast } from "./tabs";
import { saveUnsaved, takeUnsaved } from "./unsaved";

const TROUBLES: Readonly<Record<string, string>> = {
  QuotaExceededError: "This browser has no room left: new messages will be gone after a reload. Delete some.",
  VersionError:
    "A newer Arkor Studio has stored this browser's conversations: new messages will be gone after a reload.",
};
const NO_STORAGE = "Studio can't store conversations in this browser: they will be gone after a reload.";
const troubleOf = (error: unknown): string =>
  (error instanceof DOMException && TROUBLES[error.name]) || NO_STORAGE;

const all = signal<readonly Summary[]>([]);

/** The conversations of this project, and those of unknown projects; newest first. */
export const summaries = computed(() => {
  const folder = project.value;
  return all.value.filter(
    (conversation) =>
      folder === undefined || conversation.project === undefined || conversation.project === folder,
  );
});

/** Why conversations are not stored, as a sentence for the page; null while they are. */
export const storageTrouble = signal<string | null>(null);

export const current = signal<Conversation>(newConversation([], ...storedSettings()));

export function newId(): string {
  return crypto.randomUUID();
}

export function newConversation(targets: readonly Target[], params: Params, system: string): Conversation {
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

/** A new conversation with the current targets and the default settings. */
export function nextConversation(): Conversation {
  writeStored(CHAT_SETTINGS, null);
  return newConversation(shownTargets(current.peek()), DEFAULT_PARAMS, "");
}

/** Conversations that this page has opened; they are newer than the stored ones. */
const opened = new Map<string, Conversation>();

/** The parameters and the system prompt set before the first question. */
function storedSettings(): [Params, string] {
  const stored = readStored(CHAT_SETTINGS);
  const { params, system } = ownPreset("", stored.params, stored.system);
  return [params, system ?? ""];
}

/** Changes the open conversation, and stores it once it has a turn. */
export function changeCurrent(next: Conversation): void {
  const { params, system } = current.peek();
  current.value = next;
  if (next.params !== params || next.system !== system) writeStored(CHAT_SETTINGS, next);
  queueSave(next);
}

/** Changes a conversation opened by this page, whether or not it is still visible. */
export function changeById(id: string, by: (conversation: Conversation) => Conversation): void {
  if (current.peek().id === id) return changeCurrent(by(current.peek()));
  const known = opened.get(id);
  if (known) queueSave(by(known));
}

/** Conversations to store. Writes happen in sequence; of several changes only the last is written. */
const unsaved = new Map<string, Conversation>();
let writing: Promise<void> | null = null;

/** A page that is being left has its requests aborted: what their errors say would be stored as the answer's end. */
let leaving = false;

function queueSave(conversation: Conversation): void {
  if (conversation.leaf === null || leaving) return;
  opened.set(conversation.id, conversation);
  unsaved.set(conversation.id, conversation);
  const remaining = all.peek().filter((entry) => entry.id !== conversation.id);
  all.value = [summarize(conversation), ...remaining].sort((a, b) => b.updated - a.updated);
  writing ??= saveQueued().finally(() => {
    writing = null;
  });
}

async function saveQueued(): Promise<void> {
  for (let next = nextQueued(); next; next = nextQueued()) {
    try {
      await store(next);
      broadcast({ id: next.id });
      storageTrouble.value = null;
    } catch (error) {
      storageTrouble.value = troubleOf(error);
    }
    if (unsaved.get(next.id) === next) unsaved.delete(next.id);
  }
}

/** Resolves when everything is stored, or has failed. */
export const allSaved = async (): Promise<void> => void (await writing);

const nextQueued = (): Conversation | undefined => unsaved.values().next().value;

for (const conversation of takeUnsaved()) queueSave(markCutAnswers(conversation));
globalThis.addEventListener?.("beforeunload", () => {
  leaving = true;
  // The person may choose to stay.
  setTimeout(() => {
    leaving = false;
  }, 1000);
});
globalThis.addEventListener?.("pagehide", () => saveUnsaved([...unsaved.values()]));
// A page from the back/forward cache continues to write by itself.
globalThis.addEventListener?.("pageshow", (event) => event.persisted && takeUnsaved());

export async function readConversations(): Promise<void> {
  try {
    const stored = (await listStored()).filter(({ id }) => !unsaved.has(id));
    all.value = [...[...unsaved.values()].map(summarize), ...stored].sort((a, b) => b.updated - a.updated);
  } catch (error) {
    storageTrouble.value = troubleOf(error);
  }
}

const findConversation = async (id: string): Promise<Conversation | undefined> =>
  opened.get(id) ?? (await load(id).catch(() => undefined));

/** Every conversation of the list, newest first. */
export async function allConversations(): Promise<Conversation[]> {
  const read = await Promise.all(summaries.peek().map(({ id }) => findConversation(id)));
  return read.filter((entry) => entry !== undefined);
}

/** The latest question: of the open conversation, else of the newest one; null before the first. */
export async function lastQuestion(): Promise<string | null> {
  if (current.peek().leaf === null && summaries.peek().length === 0) await readConversations();
  const newest = summaries.peek()[0];
  const conversation =
    current.peek().leaf === null && newest ? await findConversation(newest.id) : current.peek();
  return (conversation && branch(conversation).at(-1)?.user) ?? null;
}

/** Opens a conversation; false if it no longer exists. */
export async function openConversation(id: string): Promise<boolean> {
  const read = await findConversation(id);
  if (!read) return false;
  const elsewhere = !opened.has(id) && (await isBeingAnswered(id));
  if (!opened.has(id)) opened.set(id, elsewhere ? read : markCutAnswers(read));
  current.value = opened.get(id) ?? read;
  if (elsewhere) void answersEnded(id).then(() => mergeFromStorage(id));
  return true;
}

/** Loads what other tabs have stored of a conversation that this page has opened. */
async function mergeFromStorage(id: string): Promise<void> {
  const [stored, elsewhere] = await Promise.all([load(id).catch(() => undefined), isBeingAnswered(id)]);
  const known = opened.get(id);
  if (!known || !stored) return;
  // If the other tab has continued the branch that is shown here, show its newest turn.
  const leaf = branch(stored).some((turn) => turn.id === known.leaf) ? stored.leaf : known.leaf;
  const merged = { ...mergeStored(known, stored), leaf };
  opened.set(id, elsewhere ? merged : markCutAnswers(merged));
  if (current.peek().id === id) current.value = opened.get(id)!;
}

onBroadcast(({ id, gone }) => {
  void readConversations();
  if (!gone) return void mergeFromStorage(id);
  opened.delete(id);
  if (current.peek().id === id) current.value = nextConversation();
});

/** Marks answers that were streaming when their page was closed as cut. */
function markCutAnswers(conversation: Conversation): Conversation {
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
export async function deleteConversation(id: string): Promise<void> {
  unsaved.delete(id);
  opened.delete(id);
  await writing;
  await remove([id]).catch(() => undefined);
  broadcast({ id, gone: true });
  all.value = all.peek().filter((entry) => entry.id !== id);
}
