import { expect, test } from "vitest";
import { partsOf, percent, spent } from "./time";

test("the parts are shares of all that was measured, in the order of a step", () => {
  const parts = partsOf({ save: 1, forward: 3, backward: 6, data: 0, other: 0, odd: 5 });
  expect(parts.map(({ words, share }) => [words, share])).toEqual([
    ["Forward pass", 0.3],
    ["Backward pass", 0.6],
    ["Saving", 0.1],
  ]);
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
