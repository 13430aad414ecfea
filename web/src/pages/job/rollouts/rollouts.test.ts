import { expect, test } from "vitest";
import { rolloutsOf, stepsOf } from "./rollouts";

const SINGLE = { turns: [], omitted: 0, failure: "" };

test("an episode has its turns with what the tools said, and why it failed", () => {
  const call = { name: "look_up", arguments: '{"id": "A"}', result: "gone", error: true };
  const turns = [{ answer: "I look.", calls: [call, { name: 7 }, "no object"] }, { calls: "none" }, null];
  const sent = { answer: "", reward: 0, rewards: {}, turns, omitted: 3, failure: "it hangs" };
  const [episode] = rolloutsOf({ rollouts: [sent] });
  expect(episode).toMatchObject({ omitted: 3, failure: "it hangs" });
  expect(episode?.turns).toEqual([
    { answer: "I look.", calls: [call, { name: "7", arguments: "", result: "", error: false }] },
    { answer: "", calls: [] },
  ]);
});

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
      ...SINGLE,
    },
    { where: "", prompt: "", answer: "B", truncated: false, reward: 0, rewards: [], ...SINGLE },
  ]);
  expect(rolloutsOf(undefined)).toEqual([]);
});

test("a step that was done again counts once, and steps are in order", () => {
  const steps = stepsOf([{ step: 3, at: 1 }, { step: 1 }, { step: 3, at: 2 }, { step: "x" }]);
  expect([...steps.keys()]).toEqual([1, 3]);
  expect(steps.get(3)).toMatchObject({ at: 2 });
});
