import { describe, expect, it } from "vitest";
import { type Delta, readDelta } from "./deltas";

const cases: [string, string, string, Delta][] = [
  ["an OpenAI chunk", "", '{"choices":[{"delta":{"content":"Hi"}}]}', { text: "Hi" }],
  ["the chunk that opens an answer", "", '{"choices":[{"delta":{"role":"assistant","content":""}}]}', {}],
  ["a null content", "", '{"choices":[{"delta":{"content":null},"finish_reason":null}]}', {}],
  ["a finish", "", '{"choices":[{"delta":{},"finish_reason":"length"}]}', { finish: "length" }],
  [
    "a whole answer",
    "",
    '{"choices":[{"message":{"content":"All"},"finish_reason":"stop"}]}',
    { text: "All", finish: "stop" },
  ],
  ["a legacy completion", "", '{"choices":[{"text":"old"}]}', { text: "old" }],
  [
    "content parts",
    "",
    '{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"x"}]}}]}',
    { text: "a" },
  ],
  ["usage without choices", "", '{"choices":[],"usage":{"completion_tokens":12}}', { tokens: 12 }],
  [
    "calls of tools",
    "",
    '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}},5]}}]}',
    { calls: [{ name: "f", arguments: "{}" }] },
  ],
  [
    "who answered",
    "",
    '{"choices":[],"answeredBy":{"engine":"llama.cpp","precision":"Q4_1","more":1}}',
    { engine: "llama.cpp, Q4_1" },
  ],
  [
    "why it was not another one",
    "",
    '{"choices":[],"answeredBy":{"engine":"transformers","precision":"float32","why":"it is not installed"}}',
    { engine: "transformers, float32, it is not installed" },
  ],
  ["a JSON string", "", '"line\\nbreak"', { text: "line\nbreak" }],
  ["content at the top", "", '{"content":"x"}', { text: "x" }],
  ["text at the top", "message", '{"text":"y"}', { text: "y" }],
  ["text that is not JSON", "", "Hello {", { text: "Hello {" }],
  ["leading space", "", " there", { text: " there" }],
  ["a number that is text", "", "42", { text: "42" }],
  ["a list that is text", "", "[1]", { text: "[1]" }],
  ["null", "", "null", {}],
  ["nothing", "", "", {}],
  ["the end marker", "", "[DONE]", { end: true }],
  ["the end event", "end", "{}", { end: true }],
  ["a ping", "ping", '{"content":"not text"}', {}],
  [
    "progress",
    "progress",
    '{"label":"Load","done":3,"total":9}',
    { progress: { label: "Load", done: 3, total: 9 } },
  ],
  [
    "progress without a total",
    "progress",
    '{"done":-1,"total":null}',
    { progress: { label: "Loading the model", done: 0, total: null } },
  ],
  ["broken progress is not text", "progress", "oops", {}],
  ["an error", "", '{"error":"No adapter for step 7"}', { error: "No adapter for step 7" }],
  ["an OpenAI error", "", '{"error":{"message":"too long","code":400}}', { error: "too long" }],
  ["an error event of bare text", "error", "out of memory", { error: "out of memory" }],
  ["an error event", "error", '{"error":"out of memory"}', { error: "out of memory" }],
  ["a null error beside text", "", '{"error":null,"content":"fine"}', { text: "fine" }],
  ["an unknown object", "", '{"hello":1}', {}],
  ["hostile shapes", "", '{"choices":[[]],"usage":{"completion_tokens":"9"}}', {}],
];

describe("readDelta", () => {
  it.each(cases)("reads %s", (_name, event, data, expected) => {
    expect(readDelta(event, data)).toEqual(expected);
  });

  it("names an error of unknown shape", () => {
    expect(readDelta("", '{"error":{"code":5}}').error).toContain('{"code":5}');
  });
});
