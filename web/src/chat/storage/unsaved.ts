/**
 * What was not stored yet when the page was left. IndexedDB answers too late for a page that goes, localStorage at once:
 * so an answer that had just come is still there after a reload.
 */
import { recall, remember } from "../../lib/storage";
import type { Conversation } from "../types";

const KEY = "arkor.unsaved";

/** Notes them down, beside what another tab may have noted in the same moment. */
export function leaveBehind(conversations: Iterable<Conversation>): void {
  const all = new Map(read().map((each) => [each.id, each]));
  for (const conversation of conversations) all.set(conversation.id, conversation);
  if (all.size > 0) remember(KEY, JSON.stringify([...all.values()]));
}

/** What the last page left, once. */
export function pickUp(): Conversation[] {
  const left = read();
  if (left.length > 0) remember(KEY, null);
  return left;
}

function read(): Conversation[] {
  try {
    const list: unknown = JSON.parse(recall(KEY) ?? "[]");
    return Array.isArray(list) ? list.filter(isConversation) : [];
  } catch {
    return [];
  }
}

function isConversation(value: unknown): value is Conversation {
  if (typeof value !== "object" || value === null) return false;
  const { id, turns } = value as Partial<Conversation>;
  return typeof id === "string" && typeof turns === "object" && turns !== null;
}
