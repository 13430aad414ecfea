import { expect, test } from "vitest";
import { tokensOf } from "./tokens";

test("a token's place is counted in its own example, where a cut applies", () => {
  const tokens = tokensOf({
    examples: [2, 3],
    special: [4],
    runs: [
      { count: 1, learned: false, role: "user" },
      { count: 2, learned: true, role: "assistant" },
      { count: 2, learned: false, role: "template" },
    ],
  });
  expect(tokens.map(({ at }) => at)).toEqual([0, 1, 0, 1, 2]);
  expect(tokens.map(({ learned }) => learned)).toEqual([false, true, true, false, false]);
  expect(tokens[4]?.special).toBe(true);
});
