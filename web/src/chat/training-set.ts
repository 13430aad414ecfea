/** Conversations as a training set: a `{messages}` line per visible column of the visible branch. */
import type { ChatMessage } from "../contract.gen";
import { branch, hasText } from "./model/tree";
import type { Answer, Conversation } from "./model/types";
import { strengthOf } from "./strength";

/** An answer worth learning from: it ended by itself, not at its token limit. */
const isWhole = (answer: Answer): boolean => answer.state === "done" && answer.finish !== "length";

/**
 * The displayed branch as one column answered it, up to its last complete answer; null without one. Turns that the
 * column has no text for are left out, so that roles alternate. If an adapter answered at partial strength,
 * `adapterStrengths` has the strength of each answer; trainers ignore it.
 */
export function trainingLine(conversation: Conversation, column: number): string | null {
  const messages: ChatMessage[] = [];
  if (conversation.system.trim() !== "") messages.push({ role: "system", content: conversation.system });
  const strengths: number[] = [];
  let complete = 0;
  for (const turn of branch(conversation)) {
    const answer = turn.answers[column];
    if (!hasText(answer)) continue;
    messages.push({ role: "user", content: turn.user }, { role: "assistant", content: answer.text });
    strengths.push(strengthOf(answer.by));
    if (isWhole(answer)) complete = messages.length;
  }
  if (complete === 0) return null;
  const turns = messages.slice(0, complete);
  const adapterStrengths = strengths.slice(0, turns.filter(({ role }) => role === "assistant").length);
  return JSON.stringify({
    messages: turns,
    ...(adapterStrengths.some((strength) => strength !== 1) ? { adapterStrengths } : {}),
  });
}

/** Every line of every conversation, each ended by a newline; empty if nothing is worth keeping. */
export function trainingSet(conversations: readonly Conversation[]): string {
  const lines = conversations.flatMap((conversation) =>
    conversation.columns.map((column) => trainingLine(conversation, column)),
  );
  return [...new Set(lines)].map((line) => (line === null ? "" : `${line}\n`)).join("");
}
