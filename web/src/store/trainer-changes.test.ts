import { expect, it } from "vitest";
import type { Trainer } from "../contract.gen";
import { changedWords, changesOf, changeWords } from "./trainer-changes";

const trainer = (config: object, rows?: number): Trainer =>
  ({
    name: "a",
    config: { model: "m", datasetSource: { type: "file", path: "d.jsonl" }, ...config },
    ...(rows === undefined ? {} : { rows }),
  }) as Trainer;

it("says what was set differently, and what is new or gone", () => {
  const before = trainer({ maxSteps: 40, learningRate: 2e-3, loraR: 8 }, 90);
  const after = trainer({ maxSteps: 60, learningRate: 1e-3, loraR: 8, warmupSteps: 5 }, 91);
  expect(changeWords(changesOf(before, after))).toBe(
    "steps 40 → 60, learning rate 0.002 → 0.001, warmup steps not set → 5 steps, examples 90 → 91",
  );
  expect(changeWords(changesOf(after, trainer({ loraR: 16, maxSteps: 60, learningRate: 1e-3 }, 91)))).toBe(
    "LoRA rank 8 → 16, warmup steps 5 steps → not set",
  );
});

it("says whether the file changed, or only its data", () => {
  const [before, after] = [trainer({ maxSteps: 40 }, 30), trainer({ maxSteps: 60 }, 29)];
  expect(changedWords(changesOf(before, trainer({ maxSteps: 40 }, 29)))).toBe("The data changed");
  expect(changedWords(changesOf(before, after))).toBe("arkor.toml changed");
  expect(changedWords([])).toBe("arkor.toml changed");
});

it("is silent where the same would be trained, or where nothing was shown before", () => {
  expect(changesOf(trainer({ maxSteps: 1 }), trainer({ maxSteps: 1 }))).toEqual([]);
  expect(changesOf(undefined, trainer({}))).toEqual([]);
  expect(changesOf(trainer({}), undefined)).toEqual([]);
  expect(changesOf(trainer({}, 90), trainer({}))).toEqual([]); // of other data, whose rows are not counted yet
});

it("is silent about settings of a trainer that cannot be read now", () => {
  const broken = { name: "a", problem: "data/faq.csv is not in the project" } as Trainer;
  expect(changesOf(trainer({ maxSteps: 40 }), broken)).toEqual([]);
  expect(changesOf(broken, trainer({ maxSteps: 40 }))).toEqual([]);
});

it("says what of a data set is new in words, not in JSON", () => {
  const source = { type: "file", path: "d.jsonl", columns: { prompt: "question", completion: "answer" } };
  expect(changeWords(changesOf(trainer({}), trainer({ datasetSource: source })))).toBe(
    "data set path d.jsonl → path d.jsonl, columns (prompt question, completion answer)",
  );
});

it("values that only look the same are told apart", () => {
  expect(changeWords(changesOf(trainer({ learningRate: 1e-3 }), trainer({ learningRate: 0.0010004 })))).toBe(
    "learning rate 0.001 → 0.0010004",
  );
});
