import { expect, it } from "vitest";
import { BEST, linesOf, merged, pairsOf, SEARCHED, textsFor } from "./texts";

const PAIRS = [
  { query: "Where is it?", document: "In the hold." },
  { query: "Where is it?", document: "In the shop." },
  { query: "What does it cost?", document: "In the hold." },
  { query: "What does it cost?", document: "Three coins." },
];

it("searches every document once, and the own lines after them", () => {
  const texts = textsFor("Where is it?", PAIRS, " a line \n\nIn the shop.", false);
  expect(texts).toEqual(["In the hold.", "In the shop.", "Three coins.", "a line"]);
});

it("reorders the documents of a held-out query, and all of them for another one", () => {
  expect(textsFor("What does it cost?", PAIRS, "", true)).toEqual(["In the hold.", "Three coins."]);
  expect(textsFor("How late?", PAIRS, "", true)).toHaveLength(3);
});

it("stays within the limits of a call", () => {
  const own = Array.from({ length: 2 * SEARCHED }, (_, at) => `${at} ${"x".repeat(20_000)}`).join("\n");
  const texts = textsFor("q", [], own, false);
  expect(texts).toHaveLength(SEARCHED);
  expect(Math.max(...texts.map((text) => text.length))).toBeLessThanOrEqual(10_000);
});

it("reads only rows with a query and a document", () => {
  const rows = [{ question: "a", wanted: "b" }, { question: "a" }, null, { question: " ", wanted: "b" }];
  expect(pairsOf(rows)).toEqual([{ query: "a", document: "b" }]);
  expect(pairsOf("rows")).toEqual([]);
  expect(linesOf("\n \n")).toEqual([]);
});

it("merges the answers of several calls, the best first", () => {
  const first = merged([], { results: [{ index: 1, score: 0.5 }] }, 0, 2);
  expect(
    merged(
      first,
      {
        results: [
          { index: 0, score: 0.9 },
          { index: 1, score: -0.2 },
        ],
      },
      2,
      2,
    ),
  ).toEqual([
    { place: 2, score: 0.9 },
    { place: 1, score: 0.5 },
    { place: 3, score: -0.2 },
  ]);
  const many = Array.from({ length: 60 }, (_, index) => ({ index, score: index }));
  expect(merged([], { results: many }, 0, 60)).toHaveLength(BEST);
});

it("leaves out places that were not sent, and scores that are no numbers", () => {
  const results = [
    { index: 5, score: 1 },
    { index: -1, score: 1 },
    { index: 0.5, score: 1 },
    { index: 0, score: null },
  ];
  expect(merged([], { results } as never, 0, 5)).toEqual([]);
  expect(merged([], null as never, 0, 5)).toEqual([]);
});
