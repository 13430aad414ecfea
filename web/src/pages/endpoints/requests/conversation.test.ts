import { describe, expect, it } from "vitest";
import { DEFAULT_PARAMS } from "../../../chat/model/presets";
import { branch, versions } from "../../../chat/model/tree";
import type { Conversation } from "../../../chat/model/types";
import { messagesFor } from "../../../chat/request";
import { isConversation } from "../../../chat/storage/check";
import type { ChatMessage, EndpointRequest } from "../../../contract.gen";
import { conversationOf, conversationTrouble } from "./conversation";

function requestWith(messages: ChatMessage[], answers: string[]): EndpointRequest {
  return {
    id: "1",
    at: "2026-06-01T00:00:00.000Z",
    call: "chat/completions",
    status: 200,
    key: null,
    stream: false,
    promptTokens: 1,
    completionTokens: 1,
    firstTokenSeconds: 0.1,
    seconds: 1,
    kept: true,
    messages,
    answers,
  };
}

function storedConversation(request: EndpointRequest): Conversation {
  let count = 0;
  const handed = conversationOf(request, { kind: "base", model: "m" }, "bot", () => `t${count++}`);
  return { id: "c", created: 1, updated: 1, params: DEFAULT_PARAMS, columns: [0], ...handed };
}

const MESSAGES: ChatMessage[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Hello" },
  { role: "assistant", content: "Ahoy" },
  { role: "user", content: "Where is it?" },
];

describe("a request as a conversation", () => {
  it("asks exactly what was asked", () => {
    const conversation = storedConversation(requestWith(MESSAGES, ["At the door."]));
    expect(isConversation(conversation)).toBe(true);
    expect(messagesFor(conversation, conversation.leaf!, 0)).toEqual(MESSAGES);
    expect(branch(conversation).at(-1)?.answers[0]).toMatchObject({ text: "At the door.", state: "done" });
  });

  it("has several answers as versions of the last turn", () => {
    const conversation = storedConversation(requestWith(MESSAGES, ["a", "b", "c"]));
    const last = branch(conversation).at(-1)!;
    expect(versions(conversation, last).map(({ answers }) => answers[0]?.text)).toEqual(["a", "b", "c"]);
    expect(last.answers[0]?.text).toBe("c");
  });

  it("joins questions that no answer parts", () => {
    const two: ChatMessage[] = [
      { role: "user", content: "a" },
      { role: "user", content: "b" },
    ];
    const conversation = storedConversation(requestWith(two, ["x"]));
    expect(branch(conversation).map(({ user }) => user)).toEqual(["a\n\nb"]);
  });

  it("may begin with an answer", () => {
    const conversation = storedConversation(
      requestWith([{ role: "assistant", content: "Hi" }, ...MESSAGES.slice(3)], ["x"]),
    );
    expect(branch(conversation).map(({ user, answers }) => [user, answers[0]?.text])).toEqual([
      ["", "Hi"],
      ["Where is it?", "x"],
    ]);
  });
});

describe("what is no conversation", () => {
  it.each<[ChatMessage[], string[], boolean]>([
    [MESSAGES, ["x"], true],
    [MESSAGES, [], false],
    [MESSAGES.slice(0, 3), ["x"], false],
    [[...MESSAGES, { role: "tool", content: "5" }], ["x"], false],
    [[{ role: "assistant", content: "", tool_calls: [{}] }, ...MESSAGES], ["x"], false],
    [[], ["x"], false],
  ])("%j with %j: %j", (messages, answers, good) =>
    expect(conversationTrouble(requestWith(messages, answers)) === null).toBe(good),
  );
});
