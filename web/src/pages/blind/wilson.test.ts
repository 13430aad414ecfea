import { describe, expect, it } from "vitest";
import type { Ballot } from "../../contract.gen";
import { tallyOf, verdictOf, wilson } from "./wilson";

const names = { one: "the base", other: "the adapter" };

/** The same bounds another way: where the score test just does not reject, by bisection. */
function scored(won: number, of: number, up: boolean): number {
  const share = won / of;
  const rejected = (p: number): boolean => (share - p) ** 2 > (1.959964 ** 2 * p * (1 - p)) / of;
  let [inside, outside] = [share, up ? 1 : 0];
  for (let n = 0; n < 200; n += 1) {
    const middle = (inside + outside) / 2;
    if (rejected(middle)) outside = middle;
    else inside = middle;
  }
  return inside;
}

describe("wilson", () => {
  it("is where the score test turns", () => {
    for (const [won, of] of [
      [9, 12],
      [5, 10],
      [40, 100],
      [1, 7],
    ] as const) {
      const { low, high } = wilson(won, of)!;
      expect(low).toBeCloseTo(scored(won, of, false), 6);
      expect(high).toBeCloseTo(scored(won, of, true), 6);
    }
  });

  it("stays between none and all", () => {
    expect(wilson(0, 10)!.low).toBeCloseTo(0, 9);
    expect(wilson(0, 10)!.high).toBeCloseTo(0.2775, 4);
    expect(wilson(10, 10)!.high).toBeCloseTo(1, 9);
    expect(wilson(0, 0)).toBeNull();
  });
});

describe("a tally", () => {
  const ballot = (choice: Ballot["choice"], one = "a", other = "b"): Ballot => ({
    voter: "Ann",
    one,
    other,
    choice,
    left: "one",
    question: "?",
  });

  it("counts ballots of the same two, whichever way they are named", () => {
    const ballots = [
      ballot("one"),
      ballot("other"),
      ballot("tie"),
      ballot("one", "b", "a"),
      ballot("one", "a", "c"),
      ballot("nonsense" as Ballot["choice"]),
    ];
    expect(tallyOf(ballots, "a", "b")).toEqual({ one: 1, other: 2, ties: 1 });
  });

  it("says no more than its votes can show", () => {
    expect(verdictOf({ one: 1, other: 11, ties: 0 }, names)).toBe(
      "the adapter was preferred in 11 of 12 votes (92 %, 95 % interval 65 to 99 %).",
    );
    expect(verdictOf({ one: 11, other: 1, ties: 3 }, names)).toMatch(/^the base was preferred in 11 of 12/);
    expect(verdictOf({ one: 4, other: 8, ties: 0 }, names)).toMatch(
      /^No preference that 12 votes can show: the a/,
    );
    expect(verdictOf({ one: 5, other: 5, ties: 0 }, names)).toMatch(
      /^No preference: each was preferred in 5 of/,
    );
    expect(verdictOf({ one: 0, other: 0, ties: 10 }, names)).toBe("Every vote was a tie.");
  });
});
