import { expect, test } from "vitest";
import type { Job } from "../../../contract.gen";
import { promptsOf, questionsOf } from "./openers";

test("a job's own sample prompts open a conversation", () => {
  const of = (samples: unknown) => promptsOf({ config: { samples } } as unknown as Job);
  expect(of(["Where is it?", "Where is it?", " ", 3, "x".repeat(400), "b", "c", "d"])).toEqual([
    "Where is it?",
    "b",
    "c",
  ]);
  expect(of("off")).toEqual([]);
  expect(promptsOf(undefined)).toEqual([]);
});

test("else held-out questions do that nothing was answered before", () => {
  const earlier = [
    { role: "user", content: "a" },
    { role: "assistant", content: "b" },
    { role: "user", content: "c" },
  ];
  const alone = [
    { role: "system", content: "s" },
    { role: "user", content: "d" },
  ];
  const rows = [
    { question: "c", messages: earlier },
    { question: "d", messages: alone },
    { question: "e" },
    {},
    null,
  ];
  expect(questionsOf(rows)).toEqual(["d", "e"]);
  expect(questionsOf("hostile")).toEqual([]);
});
