import { expect, test } from "vitest";
import { splitThoughts } from "./thoughts";

test.each([
  ["<think>\nThe tide.\n</think>\n\nAt noon.", "The tide.", "At noon.", true],
  ["[THINK]The tide.[/THINK]At noon.", "The tide.", "At noon.", true],
  ["The tide.\n</think>\n\nAt noon.", "The tide.", "At noon.", true],
  ["<think>\n\n</think>\n\nAt noon.", "", "At noon.", true],
  ["<think>\nThe ti", "The ti", "", false],
  [
    "<|channel|>analysis<|message|>The tide.<|end|><|start|>assistant<|channel|>final<|message|>At noon.",
    "The tide.",
    "At noon.",
    true,
  ],
])("thoughts are split from the answer: %j", (text, thoughts, answer, ended) => {
  expect(splitThoughts(text)).toEqual({ thoughts, answer, ended });
});

test.each(["At noon.", "", "Write <think>so</think> before it."])(
  "an answer without thoughts: %j",
  (text) => {
    expect(splitThoughts(text)).toBeNull();
  },
);
