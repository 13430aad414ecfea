import { expect, test } from "vitest";
import type { Target } from "../../chat/model/types";
import { distinct, Pairs, pairFor, type Question, questionsIn, shuffled } from "./pairs";

const targets = { one: { kind: "base", model: "m" }, other: { kind: "final", jobId: "j" } } as const;
const { signal } = new AbortController();

test("whose answer is on the left is tossed, and so is who is asked first", async () => {
  for (const first of [true, false])
    for (const left of [true, false]) {
      const requests: string[] = [];
      const tosses = [first, left];
      const ask = (_: Question, target: Target): Promise<string> => {
        requests.push(target.kind);
        return Promise.resolve(`said by ${target.kind}`);
      };
      const pair = await pairFor({ text: "?" }, targets, signal, ask, () => tosses.shift()!);
      expect(requests).toEqual(first ? ["base", "final"] : ["final", "base"]);
      expect(pair.leftIs).toBe(left ? "one" : "other");
      expect(pair.left).toBe(left ? "said by base" : "said by final");
      expect(pair.right).toBe(left ? "said by final" : "said by base");
    }
});

test("both sides come up, by a coin of the browser's", async () => {
  const ask = (): Promise<string> => Promise.resolve("x");
  const sides = await Promise.all(
    Array.from({ length: 200 }, async () => (await pairFor({ text: "?" }, targets, signal, ask)).leftIs),
  );
  const ones = sides.filter((side) => side === "one").length;
  // Outside of this once in a billion.
  expect(ones).toBeGreaterThan(55);
  expect(ones).toBeLessThan(145);
});

test("the next pair is asked for while one is read, and a failed one again", async () => {
  const requests: string[] = [];
  let broken = true;
  const questions = ["a", "b", "c"].map((text) => ({ text }));
  const pairs = new Pairs(questions, ({ text: question }) => {
    requests.push(question);
    return question === "b" && broken
      ? Promise.reject(new Error("away"))
      : Promise.resolve({ question, left: "", right: "", leftIs: "one" });
  });
  expect((await pairs.at(0)).question).toBe("a");
  expect(requests).toEqual(["a", "b"]);
  await new Promise((done) => setTimeout(done));
  await expect(pairs.at(1)).rejects.toThrow("away");
  broken = false;
  await new Promise((done) => setTimeout(done));
  expect((await pairs.at(1)).question).toBe("b");
  expect(requests).toEqual(["a", "b", "b", "b", "c"]);
  await pairs.at(2);
  await pairs.at(2);
  expect(requests).toHaveLength(5);
});

test("questions are lines, each once", () => {
  expect(questionsIn(" one \n\ntwo\r\none\n").map(({ text }) => text)).toEqual(["one", "two"]);
  expect(questionsIn(Array.from({ length: 999 }, (_, n) => `q${n}`).join("\n"))).toHaveLength(200);
});

test("the same words after others are another question", () => {
  const after = (before: string): Question => ({
    text: "And then?",
    messages: [
      { role: "user", content: before },
      { role: "assistant", content: "Yes." },
      { role: "user", content: "And then?" },
    ],
  });
  expect(distinct([after("a"), after("b"), after("a"), { text: "And then?" }, { text: " " }])).toHaveLength(
    3,
  );
});

test("held-out questions come in another order, none lost", () => {
  const all = Array.from({ length: 30 }, (_, n) => ({ text: `q${n}` }));
  const mixed = shuffled(all);
  expect(mixed).not.toEqual(all);
  expect(new Set(mixed)).toEqual(new Set(all));
});
