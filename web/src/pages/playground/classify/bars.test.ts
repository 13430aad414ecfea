import { expect, it } from "vitest";
import { barsOf, percentOf } from "./bars";

it("puts the likeliest label first", () => {
  expect(barsOf({ labels: ["calm", "hurried", "other"], probabilities: [0.2, 0.7, 0.1] })).toEqual([
    { label: "hurried", probability: 0.7 },
    { label: "calm", probability: 0.2 },
    { label: "other", probability: 0.1 },
  ]);
});

it("leaves out what is not a label with a probability, and stays within 0 and 1", () => {
  const sent = { labels: ["a", 3, "b", "c"], probabilities: [2, 0.1, null] };
  expect(barsOf(sent as never)).toEqual([{ label: "a", probability: 1 }]);
  expect(barsOf({} as never)).toEqual([]);
});

it("never says that a label is certain or impossible", () => {
  expect(percentOf(0.9734)).toBe("97.3 %");
  expect(percentOf(1)).toBe("> 99.9 %");
  expect(percentOf(0)).toBe("< 0.1 %");
});
