import { expect, it } from "vitest";
import type { DatasetLengths, Finding } from "../../contract.gen";
import { figuresAt, unreadableIn } from "./figures";

/** Rows of 3, 3, 5 and 8 tokens; they learn from place 1, 2, 4 and 7 on to their ends. A fifth cannot be read. */
const LENGTHS: DatasetLengths = {
  read: 4,
  rows: [0, 0, 0, 2, 0, 1, 0, 0, 1],
  beyond: 0,
  learned: [0, 1, 2, 0, 1, 0, 0, 1, 0],
  learnedBeyond: 0,
  first: [0, 1, 1, 0, 1, 0, 0, 1, 0],
};
const VIEW = { rows: 5, indexed: 5, excluded: 0, leftOut: 0, tokens: 19, learned: 5 };

it("counts only what is trained on at a length", () => {
  expect(figuresAt(VIEW, LENGTHS, 8, 1)).toEqual({
    rows: 4,
    without: "1 row invalid",
    tokens: 19,
    truncated: 0,
    learned: 5,
    mean: 5,
  });
  expect(figuresAt(VIEW, LENGTHS, 5, 1)).toEqual({
    rows: 3,
    without: "1 row invalid · 1 row truncated before the answer",
    tokens: 16,
    truncated: 3,
    learned: 4,
    mean: 4,
  });
  expect(figuresAt({ ...VIEW, rows: null, tokens: 0, learned: 0 }, null, 8, 0)).toMatchObject({
    rows: 5,
    mean: null,
  });
});

it("adds up the rows that can never be trained on", () => {
  const finding = (code: string, count: number): Finding =>
    ({ code, count, level: "error", title: "", why: "", fix: "", rows: [] }) as Finding;
  expect(unreadableIn([finding("wrong-keys", 3), finding("template-refuses", 2), finding("cut", 9)])).toBe(5);
});
