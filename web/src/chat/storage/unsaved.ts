/**
 * Conversations not yet in the database when the page was closed. IndexedDB is asynchronous, which is too late then;
 * localStorage is not. So an answer that has just arrived survives a reload.
 */
import { readStored, UNSAVED_CONVERSATIONS, writeStored } from "../../lib/storage";
import type { Conversation } from "../model/types";
import { isConversation } from "./check";

/** Keeps them for the next page, together with those of other tabs. */
export function saveUnsaved(conversations: readonly Conversation[]): void {
  if (conversations.length === 0) return;
  const ids = new Set(conversations.map(({ id }) => id));
  const unreadOrOther = readStored(UNSAVED_CONVERSATIONS).filter(
    (entry) => !isConversation(entry) || !ids.has(entry.id),
  );
  writeStored(UNSAVED_CONVERSATIONS, [...unreadOrOther, ...conversations]);
}

/** Takes the conversations that the last page left behind. Unreadable ones stay there. */
export function takeUnsaved(): Conversation[] {
  const stored = readStored(UNSAVED_CONVERSATIONS);
  const unreadable = stored.filter((entry) => !isConversation(entry));
  if (unreadable.length < stored.length)
    writeStored(UNSAVED_CONVERSATIONS, unreadable.length > 0 ? unreadable : null);
  return stored.filter(isConversation);
}
