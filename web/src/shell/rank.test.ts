import { describe, expect, it } from "vitest";
import { best, rank } from "./rank";

describe("rank", () => {
  it("prefers a prefix to a word's start to the middle to scattered letters", () => {
    const scores = ["bot-a", "support-bot", "robots", "b o t"].map((text) => rank(text, "bot"));
    expect(scores.every((score) => score !== null)).toBe(true);
    expect(scores).toEqual(scores.toSorted((a, b) => (b ?? 0) - (a ?? 0)));
  });

  it("finds nothing in what does not hold the letters in order", () => {
    expect(rank("support-bot", "tob")).toBeNull();
    expect(rank(`s${"x".repeat(50)}b`, "sb")).toBeNull();
  });
});

describe("best", () => {
  it("keeps the order among equals and stops at the limit", () => {
    expect(best(["c", "a", "b"], (item) => [item], "", 2)).toEqual(["c", "a"]);
    expect(best(["xa", "a", "ya"], (item) => [item], " A ", 5)).toEqual(["a", "xa", "ya"]);
  });

  it("takes an item's best text", () => {
    const items = [
      { name: "zzz", id: "abc" },
      { name: "abz", id: "q" },
    ];
    expect(best(items, ({ name, id }) => [name, id], "abc", 5)).toEqual([items[0]]);
  });
});
