import { expect, test } from "vitest";
import { partsOf, percent, phasesOf, spent } from "./time";

test("the parts are shares of all that was measured, in the order of a step", () => {
  const parts = partsOf({ save: 1, forward: 3, backward: 6, data: 0, other: 0, odd: 5 });
  expect(parts.map(({ words, share }) => [words, share])).toEqual([
    ["Forward pass", 0.3],
    ["Backward pass", 0.6],
    ["Saving", 0.1],
  ]);
});

test("phases are in the order of a run, those of unknown names last", () => {
  const phases = new Map([
    ["loading", 4000],
    ["training", 30_000],
    ["rehearsing\u202e", 1000],
    ["evaluating", 5000],
    ["saving", 0],
  ]);
  expect(phasesOf({ phases }).map(({ words, seconds, share }) => [words, seconds, share])).toEqual([
    ["Loading data and model", 4, 0.1],
    ["Training", 30, 0.75],
    ["Evaluating", 5, 0.125],
    ["rehearsing", 1, 0.025],
  ]);
  expect(phasesOf({ phases: new Map() })).toEqual([]);
});

test("what is no time is none", () => {
  for (const odd of [
    undefined,
    null,
    3,
    [1],
    {},
    { data: "x" },
    { data: -1 },
    { data: Infinity },
    { data: 0 },
  ])
    expect(partsOf(odd)).toEqual([]);
  expect(partsOf({ data: 1e308, forward: 1e308 })).toEqual([]);
});

test("small shares and short times are said as such", () => {
  expect([0.001, 0.005, 0.514, 1].map(percent)).toEqual(["under 1 %", "1 %", "51 %", "100 %"]);
  expect([0.04, 9.94, 12, 125].map(spent)).toEqual(["0.0 s", "9.9 s", "12 s", "2 min 05 s"]);
});
