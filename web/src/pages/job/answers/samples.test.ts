import { expect, it } from "vitest";
import { answerAt, newestAt, samplesOf, systemOf } from "./samples";

const sample = (step: unknown, number: unknown, answer: unknown, more = {}) => ({
  step,
  number,
  answer,
  prompt: `prompt ${number}`,
  ...more,
});

it("answers are found by step and prompt, whatever order they came in", () => {
  const { steps, prompts } = samplesOf([
    sample(20, 2, "b20"),
    sample(20, 1, "a20", { truncated: true }),
    sample(0, 1, "a0", { wanted: "A", row: 7 }),
    sample(0, 2, "b0"),
    sample(20, 2, "b20 again"),
  ]);
  expect(steps).toEqual([0, 20]);
  expect(prompts.map(({ number, text }) => [number, text])).toEqual([
    [1, "prompt 1"],
    [2, "prompt 2"],
  ]);
  expect(prompts[0]!.answers.get(20)).toEqual({ text: "a20", truncated: true });
  expect(prompts[1]!.answers.get(20)!.text).toBe("b20 again");
  expect(answerAt(prompts[0]!, steps, 20).map((answer) => answer?.text)).toEqual(["a20", "a0"]);
  expect(answerAt(prompts[0]!, steps, 0)[1]).toBeUndefined();
});

it("invalid answers are left out", () => {
  const wrong = [
    sample("20", 1, "x"),
    sample(20, null, "x"),
    sample(20, 1, 5),
    sample(-1, 1, "x"),
    sample(NaN, 1, "x"),
    {},
  ];
  expect(samplesOf(wrong)).toEqual({ steps: [], prompts: [] });
  expect(samplesOf(Array.from({ length: 500 }, (_, number) => sample(1, number, "x"))).prompts.length).toBe(
    50,
  );
  const { prompts } = samplesOf([
    sample(1, 1, "x", { prompt: 5, messages: [1, { role: "x" }, { role: "user" }] }),
  ]);
  expect(prompts[0]).toMatchObject({ text: "", before: null, wanted: "", row: null });
});

it("a place along the curve has the answers of the step before it", () => {
  expect([0, 5, 20, 39, 1000].map((at) => newestAt([0, 20, 40], at))).toEqual([0, 0, 20, 20, 40]);
  expect(newestAt([20, 40], 3)).toBe(20);
  expect(newestAt([], 3)).toBeUndefined();
});

it("a system prompt is known where it is all that comes before", () => {
  const system = { role: "system", content: "Be brief." };
  const user = { role: "user", content: "Q?" };
  const first = (messages: unknown) => samplesOf([sample(1, 1, "x", { messages })]).prompts[0]!.before;
  expect(systemOf(first(undefined))).toBe("");
  expect(systemOf(first([system, user]))).toBe("Be brief.");
  expect(systemOf(first([]))).toBeNull();
  expect(systemOf(first([system, user, { role: "assistant", content: "A" }, user]))).toBeNull();
});
