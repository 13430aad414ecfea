import { expect, test } from "vitest";
import { tokensOf } from "./tokens";

test("a token's place is counted in its own example, where a cut applies", () => {
  const tokens = tokensOf({
    examples: [2, 3],
    special: [4],
    runs: [
      { count: 1, weight: 0, role: "user" },
      { count: 2, weight: 0.5, role: "assistant" },
      { count: 2, weight: 0, role: "template" },
    ],
  });
  expect(tokens.map(({ at }) => at)).toEqual([0, 1, 0, 1, 2]);
  expect(tokens.map(({ weight }) => weight)).toEqual([0, 0.5, 0.5, 0, 0]);
  expect(tokens[4]?.special).toBe(true);
});
