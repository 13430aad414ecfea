/** Converts a request with stored text to a playground conversation. Pure. */
import type { Target, Turn } from "../../../chat/model/types";
import type { OpenConversation } from "../../../chat/targets";
import type { EndpointRequest } from "../../../contract.gen";

/** Why a request cannot be a conversation, as a sentence; null if it can. */
export function conversationTrouble({ messages = [], answers = [] }: EndpointRequest): string | null {
  if (messages.some(({ role, tool_calls }) => role === "tool" || (tool_calls?.length ?? 0) > 0))
    return "It calls tools, which the playground cannot show.";
  if (messages.at(-1)?.role !== "user") return "It does not end with a question.";
  return answers.length === 0 ? "It was not answered." : null;
}

/** The request's turns; several answers become versions of the last one. */
export function conversationOf(
  request: EndpointRequest,
  target: Target,
  name: string,
  newId: () => string,
): OpenConversation {
  const { messages = [], answers = [] } = request;
  const turns: Record<string, Turn> = {};
  let parent: string | null = null;
  let at = Date.parse(request.at) || 0;
  const add = (user: string, answer: string | null): string => {
    const id = newId();
    const reply = answer === null ? null : ({ by: target, name, text: answer, state: "done" } as const);
    turns[id] = { id, parent, user, answers: [reply], at };
    at += 1;
    return id;
  };
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content);
  const spoken = messages.filter(({ role }) => role !== "system");
  let question: string | null = null;
  for (const { role, content } of spoken.slice(0, -1)) {
    if (role === "user" && question === null) question = content;
    else if (role === "user") question += `\n\n${content}`;
    else {
      parent = add(question ?? "", content);
      question = null;
    }
  }
  const last = spoken.at(-1)?.content ?? "";
  const user = question === null ? last : `${question}\n\n${last}`;
  let leaf = parent;
  for (const answer of answers) leaf = add(user, answer);
  return { system: system.join("\n\n"), targets: [target], turns, leaf };
}
