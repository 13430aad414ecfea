/** The request for an answer: a branch's messages as one column sees it, with target and parameters. */
import type { ChatMessage, ChatRequest } from "../contract.gen";
import { answerFor, branch, hasFailed } from "./model/tree";
import type { Conversation, Params, Target } from "./model/types";
import { type More, moreOf } from "./more";
import { strengthOf } from "./strength";

/**
 * The messages up to and including the question of `turnId`. A question that failed, such as one over the context
 * length, is left out: it would fail every later one, too. Chat templates expect roles to alternate, so a question
 * without an answer for another reason is joined with the one after it.
 */
export function messagesFor(conversation: Conversation, turnId: string, column: number): ChatMessage[] {
  const messages: ChatMessage[] = [];
  if (conversation.system.trim() !== "") messages.push({ role: "system", content: conversation.system });
  for (const turn of branch(conversation, turnId)) {
    if (turn.id !== turnId && hasFailed(turn)) continue;
    const last = messages.at(-1);
    if (last?.role === "user") last.content += `\n\n${turn.user}`;
    else messages.push({ role: "user", content: turn.user });
    const answer = turn.id === turnId ? null : answerFor(turn, column);
    if (answer) messages.push({ role: "assistant", content: answer.text });
  }
  return messages;
}

/** `more` is sent unchanged: the caller knows whether the backend has the feature. */
export function chatRequest(
  messages: ChatMessage[],
  target: Target,
  params: Params,
  more?: More,
): ChatRequest {
  const strength = strengthOf(target);
  return {
    messages,
    ...(target.kind === "base" ? { baseModel: target.model } : { adapter: adapterOf(target) }),
    ...(strength === 1 ? {} : { adapterStrength: strength }),
    temperature: params.temperature,
    topP: params.topP,
    maxTokens: params.maxTokens,
    ...moreOf(more),
    stream: true,
  };
}

function adapterOf(target: Exclude<Target, { kind: "base" }>): NonNullable<ChatRequest["adapter"]> {
  return target.kind === "final"
    ? { kind: "final", jobId: target.jobId }
    : { kind: "checkpoint", jobId: target.jobId, step: target.step };
}
