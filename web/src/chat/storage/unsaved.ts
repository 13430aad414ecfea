/**
 * What was not stored yet when the page was left. IndexedDB answers too late for a page that goes, localStorage at once:
 * so an answer that had just come is still there after a reload.
 */
import { readStored, UNSAVED_CONVERSATIONS, writeStored } from "../../lib/storage";
import type { Conversation } from "../types";
import { isConversation } from "./check";

/** Notes them down, beside what another tab may have noted in the same moment. */
export function saveUnsaved(conversations: readonly Conversation[]): void {
  if (conversations.length === 0) return;
  const ids = new Set(conversations.map(({ id }) => id));
  const others = readStored(UNSAVED_CONVERSATIONS).filter(
    (each) => !isConversation(each) || !ids.has(each.id),
  );
  writeStored(UNSAVED_CONVERSATIONS, [...others, ...conversations]);
}

/** What the last page left, once; what cannot be read stays there. */
export function takeUnsaved(): Conversation[] {
  const left = readStored(UNSAVED_CONVERSATIONS);
  const unreadable = left.filter((each) => !isConversation(each));
  if (unreadable.length < left.length)
    writeStored(UNSAVED_CONVERSATIONS, unreadable.length > 0 ? unreadable : null);
  return left.filter(isConversation);
}
