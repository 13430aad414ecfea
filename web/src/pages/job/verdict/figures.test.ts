import { describe, expect, it } from "vitest";
import type { Evaluation } from "../../../contract.gen";
import {
  answerFigures,
  choiceOf,
  finalStep,
  measureOf,
  noteOf,
  ordered,
  ownSentences,
  partsOf,
  preferredOf,
  rowsOf,
  saidOf,
  scaleOf,
} from "./figures";

const difference = (low: number, mean: number, high: number) => ({ low, mean, high });
const part = (low: number, mean: number, high: number) => ({
  name: "",
  rows: 12,
  base: 3,
  adapter: 2,
  confidence: 99,
  verdict: "better",
  sentence: "",
  difference: difference(low, mean, high),
});

describe("the parts of an evaluation", () => {
  it("are the held-out rows and the general questions, where they have an interval", () => {
    const evaluation = {
      verdict: "better",
      sentence: "",
      heldOut: part(1, 1.5, 2),
      general: part(-0.4, -0.3, -0.2),
    };
    expect(partsOf(evaluation)[0]).toMatchObject({
      confidence: 99,
      base: "3.00",
      adapter: "2.00",
      count: "12 held-out rows",
    });
    expect(partsOf(evaluation).map(({ name, mean }) => [name, mean])).toEqual([
      ["Your task", 1.5],
      ["General ability", -0.3],
    ]);
  });

  it("are counts where each row has a reward of 0 or 1", () => {
    const measure = { label: "Reached the goal", unit: "", higher: true, rate: true };
    const episodes = { ...part(0.28, 0.475, 0.66), rows: 40, base: 0.3, adapter: 0.775, measure };
    const [task] = partsOf({ verdict: "better", sentence: "", heldOut: episodes });
    expect(task).toMatchObject({ base: "12", adapter: "31 of 40" });
    expect(noteOf(task!)).toBe(
      "Reached the goal on 40 held-out rows; 99 % interval of the difference 28 to 66 %",
    );
    const mean = { ...episodes, measure: { label: "Mean reward", unit: "", higher: true } };
    const [rewards] = partsOf({ verdict: "better", sentence: "", heldOut: mean });
    expect(rewards).toMatchObject({ base: "0.30", adapter: "0.78" });
    expect(noteOf(rewards!)).toBe("Mean reward on 40 held-out rows, higher is better");
  });

  it("have no interval with too few rows to tell", () => {
    const few = { ...part(-360, 1, 440), tooFew: true };
    expect(partsOf({ verdict: "unclear", sentence: "", heldOut: few })[0]).toMatchObject({
      tooFew: true,
      low: 1,
      high: 1,
    });
  });

  it.each([
    [{}],
    [{ heldOut: null }],
    [{ heldOut: "better" }],
    [{ heldOut: { difference: { mean: 1, low: "1", high: 2 } } }],
    [{ heldOut: { difference: { mean: 1, low: 2, high: 1 } } }],
    [{ heldOut: { difference: { mean: Number.NaN, low: 0, high: 1 } } }],
  ])("leave out invalid ones: %j", (evaluation) => {
    expect(partsOf(evaluation as unknown as Evaluation)).toEqual([]);
  });
});

describe("what is said of own sets", () => {
  it("is each sentence that is one, made plain", () => {
    const sets = [part(0, 0.1, 0.2), { sentence: "refunds: \u202ebetter" }, { sentence: 7 }, null, "no"];
    const evaluation = { verdict: "better", sentence: "", sets } as unknown as Evaluation;
    expect(ownSentences(evaluation)).toEqual(["refunds: better"]);
    expect(ownSentences({ ...evaluation, sets: "x" as never })).toEqual([]);
    expect(ownSentences({ verdict: "better", sentence: "" })).toEqual([]);
  });
});

describe("how an adapter was chosen", () => {
  it("is a sentence where the backend sends one, made plain", () => {
    const evaluation = (choice: unknown) =>
      ({ verdict: "better", sentence: "", choice }) as unknown as Evaluation;
    expect(choiceOf(evaluation({ sentence: "By 16 of \u202e32 rows." }))).toBe("By 16 of 32 rows.");
    for (const other of [undefined, null, "x", { sentence: 7 }]) expect(choiceOf(evaluation(other))).toBe("");
    const watched = { number: 2, planned: 4, sentence: "Number 2." };
    expect(choiceOf({ ...evaluation({ sentence: "By 16." }), watched })).toBe("By 16. Number 2.");
    const budget = {
      maxHarm: 0.2,
      kept: true,
      strength: 0.6,
      harm: 0.1,
      questions: 64,
      sentence: "At 60 %.",
    };
    expect(choiceOf({ ...evaluation(undefined), budget })).toBe("At 60 %.");
  });
});

describe("the answers to general questions", () => {
  const rates = (tokens: number, truncated: number) => ({ tokens, truncated, repeating: 6, refusing: 0 });
  const sentence = "Its 16 sampled answers have 58 tokens on average, instead of 14.5.";
  const answers = { count: 16, longest: 64, base: rates(14.5, 0), adapter: rates(58, 11), sentence };
  const judged = (some: unknown) =>
    ({
      verdict: "better",
      sentence: "",
      general: { ...part(0, 0, 0), answers: some },
      stopping: { sentence: "It stops." },
      thinking: { sentence: "With thinking on, 16 of 16 answers have thoughts." },
    }) as unknown as Evaluation;

  it("are counted of both", () => {
    expect(answerFigures(judged(answers))).toEqual({
      sentence,
      stopping: "It stops.",
      thinking: "With thinking on, 16 of 16 answers have thoughts.",
      rows: [
        ["Tokens on average", "14.5", "58"],
        ["Cut after 64 tokens", "0 of 16", "11 of 16"],
        ["Repeat themselves", "6 of 16", "6 of 16"],
        ["Refuse", "0 of 16", "0 of 16"],
      ],
    });
  });

  it.each([[null], ["many"], [{}], [{ ...answers, sentence: 7 }]])("are none: %j", (some) => {
    expect(answerFigures(judged(some))).toBeNull();
    expect(answerFigures({ verdict: "", sentence: "" })).toBeNull();
  });

  it("leave out non-numbers, and incomplete answers", () => {
    const odd = { ...answers, base: { tokens: "many", refusing: 1 }, adapter: null };
    expect(answerFigures(judged(odd))?.rows).toEqual([]);
    const complete = { question: "q", base: "", adapter: "a" };
    expect(saidOf([complete, { question: "q", base: "b" }, null, "q"])).toEqual([complete]);
    expect(saidOf({})).toEqual([]);
  });
});

describe("the bar's scale", () => {
  const measure = measureOf({});
  const expected = {
    name: "",
    verdict: "",
    tooFew: false,
    confidence: 95,
    measure,
    losses: null,
    base: "",
    adapter: "",
    count: "",
    preferred: null,
  };
  it("has zero and both intervals inside", () => {
    const at = scaleOf([
      { ...expected, ...difference(1, 1.5, 2) },
      { ...expected, ...difference(-0.4, -0.3, -0.2) },
    ]);
    const places = [-0.4, 0, 1, 2].map(at);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    expect(places[3]).toBeLessThan(100);
  });

  it("keeps zero away from the ends, whichever side all intervals are on", () => {
    for (const [low, high] of [
      [1, 2],
      [-2, -1],
      [0.001, 50],
    ] as const) {
      const zero = scaleOf([{ ...expected, ...difference(low, (low + high) / 2, high) }])(0);
      expect(Math.min(zero, 100 - zero)).toBeGreaterThanOrEqual(19.99);
    }
  });

  it("stands where nothing differs", () => {
    expect(scaleOf([{ ...expected, ...difference(0, 0, 0) }])(0)).toBe(50);
  });
});

it("calls the losses what the training method calls them", () => {
  expect(measureOf({ measure: { label: "Preference loss", unit: "nats" } }).label).toBe("Preference loss");
  for (const odd of [undefined, {}, { measure: 1 }, { measure: { label: 1, unit: "nats" } }])
    expect(measureOf(odd)).toEqual({ label: "Loss", unit: "nats per token" });
});

describe("rows", () => {
  const sent = [
    { row: 1, base: 3, adapter: 2.5, question: "a", wanted: "b" },
    { row: 2, base: 2, adapter: 2.75, question: 7, wanted: null },
    { row: 3, base: 3, adapter: 1 },
    { row: 4, base: "3", adapter: 1 },
    null,
    "row",
  ];

  it("are those that have both losses", () => {
    expect(rowsOf(sent).map(({ row, gain }) => [row, gain])).toEqual([
      [1, 0.5],
      [2, -0.75],
      [3, 2],
    ]);
    expect(rowsOf(sent)[1]).toMatchObject({ question: "", wanted: "" });
    expect(rowsOf({})).toEqual([]);
  });

  it("come by what changed most, for better or for worse", () => {
    const rows = rowsOf(sent);
    const by = (order: Parameters<typeof ordered>[1]) => ordered(rows, order).map(({ row }) => row);
    expect(by("improved")).toEqual([3, 1, 2]);
    expect(by("worse")).toEqual([2, 1, 3]);
    expect(by("data")).toEqual([1, 2, 3]);
  });
});

describe("the final adapter", () => {
  it("is that of the last step, or of the best where patience kept that", () => {
    expect(finalStep([0, 20, 40], 20, undefined)).toBe(40);
    expect(finalStep([0, 20, 40], 20, 3)).toBe(20);
    expect(finalStep([0, 20, 40], 30, 3)).toBe(40);
    expect(finalStep([0], 20, undefined)).toBeUndefined();
  });
});

it("counts preferences, if all of their figures are there", () => {
  const preferred = { kind: "pair", won: 45, of: 50, low: 0.786, high: 0.957 };
  expect(preferredOf({ confidence: 99, preferred })).toEqual({
    share: "45 of 50",
    note: "held-out pairs followed more than at the start (99 % interval 79 to 96 %)",
  });
  expect(preferredOf({ preferred: { ...preferred, kind: "rating" } })?.note).toContain(
    "held-out rated answers",
  );
  const equalLength = { share: 0.52, low: 0.383, high: 0.656 };
  expect(preferredOf({ preferred: { ...preferred, equalLength } })?.note).toMatch(
    /96 %\); at equal length 52 % \(38 to 66 %\)$/,
  );
  expect(preferredOf({ preferred: { ...preferred, equalLength: { share: "1" } } })?.note).toMatch(/96 %\)$/);
  for (const odd of [undefined, {}, { preferred: { ...preferred, low: "0" } }, { preferred: 1 }])
    expect(preferredOf(odd)).toBeNull();
});
