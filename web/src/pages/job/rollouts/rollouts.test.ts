import { expect, test } from "vitest";
import { rolloutsOf, stepsOf } from "./rollouts";

test("the answers of a step are read as they come, and text stays text", () => {
  const event = {
    step: 2,
    rollouts: [
      {
        where: "line 1",
        prompt: "Q?",
        answer: "<b>A</b>",
        reward: 1.5,
        rewards: { a: 1, b: 0.5 },
        truncated: true,
      },
      { answer: "B", reward: 0, rewards: { a: 0 } },
      { answer: 7, reward: 1 },
      { answer: "C", reward: "much" },
      "no object",
    ],
  };
  expect(rolloutsOf(event)).toEqual([
    {
      where: "line 1",
      prompt: "Q?",
      answer: "<b>A</b>",
      truncated: true,
      reward: 1.5,
      rewards: [
        ["a", 1],
        ["b", 0.5],
      ],
    },
    { where: "", prompt: "", answer: "B", truncated: false, reward: 0, rewards: [] },
  ]);
  expect(rolloutsOf(undefined)).toEqual([]);
});

test("a step that was done again counts once, and steps are in order", () => {
  const steps = stepsOf([{ step: 3, at: 1 }, { step: 1 }, { step: 3, at: 2 }, { step: "x" }]);
  expect([...steps.keys()]).toEqual([1, 3]);
  expect(steps.get(3)).toMatchObject({ at: 2 });
});
