import { describe, expect, it } from "vitest";
import type { Sweep } from "../../contract.gen";
import {
  axesOf,
  bestSoFar,
  isWorthDrawing,
  jobsWords,
  nextTime,
  ranked,
  searched,
  settingsWords,
  textOf,
  valuesFrom,
} from "./model";

const at = (minute: number): string => `2026-01-01T00:0${minute}:00Z`;
const sweep = {
  space: { learningRate: { low: 1e-4, high: 1e-2, log: true }, loraR: [8, 16, 64] },
  trials: [
    {
      number: 0,
      role: "search",
      settings: {},
      jobId: "a",
      results: [
        { step: 3, loss: 2, at: at(1) },
        { step: 9, loss: 1.5, at: at(5) },
      ],
    },
    {
      number: 1,
      role: "search",
      settings: { loraR: 16 },
      jobId: "b",
      results: [{ step: 3, loss: 2.5, at: at(2) }],
    },
    {
      number: 2,
      role: "search",
      settings: { loraR: 64 },
      jobId: "c",
      results: [{ step: 3, loss: 1, at: at(3) }],
    },
    { number: 3, role: "search", settings: { loraR: 8 }, jobId: "e", results: [] },
    {
      number: 4,
      role: "winner",
      settings: { loraR: 64 },
      jobId: "d",
      results: [{ step: 9, loss: 0, at: at(6) }],
    },
  ],
} as unknown as Sweep;

describe("a sweep's trials", () => {
  it("are ranked by how far they came, then by their loss", () => {
    expect(ranked(searched(sweep)).map(({ number }) => number)).toEqual([0, 2, 1]);
  });

  it("have a best loss so far at each rung", () => {
    const best = bestSoFar(sweep);
    expect(best.map(({ step, points }) => [step, points.map(({ y }) => y)])).toEqual([
      [3, [2, 2, 1]],
      [9, [1.5]],
    ]);
  });

  it("say what they change", () => {
    expect(sweep.trials.slice(0, 2).map(settingsWords)).toEqual(["Your settings", "LoRA rank 16"]);
  });
});

describe("axes", () => {
  const [rate, rank] = axesOf(sweep.space);

  it("place values as they were searched", () => {
    expect(rate!.at(1e-3)).toBeCloseTo(0.5);
    expect([rate!.at(1), rate!.at(undefined)]).toEqual([null, null]);
    expect([rank!.at(8), rank!.at(16), rank!.at(64), rank!.at(32)]).toEqual([0, 0.5, 1, null]);
    expect(rank!.marks.map(({ text }) => text)).toEqual(["8", "16", "64"]);
  });
});

describe("what a person types", () => {
  it("is a list or a range", () => {
    expect(valuesFrom("8, 16,64", false)).toEqual([8, 16, 64]);
    expect(valuesFrom('adamw, "lion"', false)).toEqual(["adamw", "lion"]);
    expect(valuesFrom("true, false", false)).toEqual([true, false]);
    expect(valuesFrom("1e-4 to 5e-3", true)).toEqual({ low: 1e-4, high: 5e-3, log: true });
    expect(valuesFrom("2..64", false)).toEqual({ low: 2, high: 64 });
    expect([valuesFrom("8", false), valuesFrom("", false), valuesFrom("a to b", false)]).toEqual([
      null,
      null,
      null,
    ]);
  });

  it("is shown as it would be typed", () => {
    for (const values of [
      [8, 16, 64],
      [true, false],
      ["adamw", "lion"],
    ])
      expect(valuesFrom(textOf(values), false)).toEqual(values);
    const range = { low: 1e-4, high: 5e-3, log: true };
    expect(valuesFrom(textOf(range), true)).toEqual(range);
  });

  it("is the next such time", () => {
    const now = new Date(2026, 0, 1, 22, 0).getTime();
    expect(nextTime("07:00", now)).toBe(new Date(2026, 0, 2, 7, 0).toISOString());
    expect(nextTime("23:30", now)).toBe(new Date(2026, 0, 1, 23, 30).toISOString());
    expect(nextTime("25:00", now)).toBeNull();
    expect(nextTime("1.5 h", now)).toBe(new Date(2026, 0, 1, 23, 30).toISOString());
  });
});

it("says how many jobs it will be, with those that confirm", () => {
  expect(jobsWords(3)).toBe(
    "Up to 9 jobs: 3 trials, your settings among them, and 6 jobs that confirm the result.",
  );
  expect(jobsWords(0)).toBe("As many trials as there is time for, and 6 jobs that confirm the result.");
});

it("draws no figures of a few trials", () => {
  const [first] = sweep.trials;
  const of = (count: number) => ({ ...sweep, trials: Array.from({ length: count }, () => first!) });
  expect([isWorthDrawing(of(3)), isWorthDrawing(of(5)), isWorthDrawing({ ...sweep, trials: [] })]).toEqual([
    false,
    true,
    false,
  ]);
});
