import { describe, expect, it } from "vitest";
import {
  canSplit,
  conversationOf,
  emptied,
  fieldsOf,
  listOf,
  merged,
  nextRole,
  rolesFor,
  split,
  withPart,
  withValue,
} from "./record";

const CHAT = {
  id: 7,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Where?", name: "ada" },
    { role: "assistant", content: null, tool_calls: [{ function: { name: "find", arguments: {} } }] },
  ],
};

describe("fieldsOf", () => {
  it("puts what is learned from first, and the rest apart", () => {
    const { main, other } = fieldsOf(CHAT, {});
    expect(main).toEqual([
      { kind: "messages", name: "messages", label: "messages", roleKey: "role", contentKey: "content" },
    ]);
    expect(other).toEqual([{ kind: "json", name: "id", label: "id" }]);
  });

  it("follows the columns of the source", () => {
    const { main, other } = fieldsOf({ Q: "why", A: "so", note: "x" }, { prompt: "Q", completion: "A" });
    expect(main.map(({ label, kind }) => [label, kind])).toEqual([
      ["Q (prompt)", "text"],
      ["A (completion)", "text"],
    ]);
    expect(other.map(({ name }) => name)).toEqual(["note"]);
  });

  it("knows ShareGPT, and a conversation in a table's cell", () => {
    const cell = JSON.stringify([{ from: "human", value: "a" }]);
    const record = { conversations: cell };
    const [field] = fieldsOf(record, {}).main;
    expect(field).toMatchObject({ kind: "messages", roleKey: "from", contentKey: "value" });
    expect(listOf(record, field!)).toEqual([{ from: "human", value: "a" }]);
  });

  it("leaves hostile shapes as JSON", () => {
    const { main } = fieldsOf({ messages: [], prompt: 5, text: ["x"], tools: {} }, {});
    expect(main.map(({ name, kind }) => [name, kind])).toEqual([
      ["messages", "json"],
      ["prompt", "json"],
      ["text", "json"],
      ["tools", "json"],
    ]);
  });
});

describe("changes", () => {
  it("keep everything else and the order of keys", () => {
    const message = withPart(CHAT.messages[1]!, "content", "Here?");
    expect(JSON.stringify(message)).toBe('{"role":"user","content":"Here?","name":"ada"}');
    expect(Object.keys(withPart(CHAT.messages[2]!, "tool_calls", undefined))).toEqual(["role", "content"]);
    expect(JSON.stringify(withValue({ a: 1, b: 2 }, "a", 3))).toBe('{"a":3,"b":2}');
  });

  it("make a new row of the same shape", () => {
    expect(emptied(CHAT, {})).toEqual({
      id: 7,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "" },
        { role: "assistant", content: "" },
      ],
    });
    expect(emptied({ prompt: "a", completion: "b", system: "s" }, {})).toEqual({
      prompt: "",
      completion: "",
      system: "s",
    });
  });

  it("suggest the role that follows", () => {
    expect(nextRole(CHAT.messages, 1, "role")).toBe("assistant");
    expect(nextRole([{ from: "gpt", value: "" }], 0, "from")).toBe("human");
    expect(rolesFor("role", "developer")).toContain("developer");
  });
});

describe("split and merged", () => {
  const [system, user, assistant] = CHAT.messages;
  const more = { role: "user", content: "And then?" };

  it("give both parts the system prompt, and take it back", () => {
    const unsplit = { ...CHAT, messages: [...CHAT.messages, more] };
    const field = conversationOf(unsplit, {})!;
    const [first, rest] = split(unsplit, field, 3);
    expect(first).toEqual(CHAT);
    expect(rest).toEqual({ id: 7, messages: [system, more] });
    expect(merged(first, rest, {})).toEqual(unsplit);
    expect([0, 1, 2, 3].map((at) => canSplit(unsplit.messages, "role", at))).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect(canSplit([user!, assistant!], "role", 1)).toBe(true);
  });

  it("leave rows that don't go together", () => {
    const other = { messages: [{ role: "system", content: "Be long." }, more] };
    expect(merged(CHAT, other, {})).toBeNull();
    expect(merged(CHAT, { text: "a" }, {})).toBeNull();
    expect(conversationOf({ prompt: [user!], completion: [assistant!] }, {})).toBeUndefined();
    expect(merged({ T: "a", n: 1 }, { T: "b", n: 2 }, { text: "T" })).toEqual({ T: "a\n\nb", n: 1 });
  });
});
