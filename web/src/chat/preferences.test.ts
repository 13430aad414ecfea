import { expect, test } from "vitest";
import type { Job, Preferences } from "../contract.gen";
import { countOf, learnedFrom, methodFor, sourceFor } from "./preferences";

const FILE = "data/preferences.jsonl";
const some = (more: Partial<Preferences>): Preferences => ({
  files: [FILE],
  rows: [],
  older: 0,
  pairs: 0,
  ratings: 0,
  corrections: 0,
  ...more,
});

test("pairs are for DPO, ratings for KTO, and every file with some is trained on", () => {
  const pairs = some({ pairs: 3, corrections: 2 });
  expect([countOf(pairs), methodFor(pairs)]).toEqual([5, "dpo"]);
  expect(sourceFor(pairs)).toEqual({
    type: "list",
    sources: [
      { type: "file", path: FILE },
      { type: "file", path: "data/corrections.jsonl" },
    ],
  });
  const mixed = some({ pairs: 3, ratings: 1, files: [FILE, "data/ratings.jsonl"] });
  expect([countOf(mixed), methodFor(mixed)]).toEqual([4, "kto"]);
  expect(sourceFor(mixed).sources?.map(({ path }) => path)).toEqual([FILE, "data/ratings.jsonl"]);
  expect(sourceFor(some({ corrections: 1, files: [] }))).toEqual({
    type: "file",
    path: "data/corrections.jsonl",
  });
});

test("a job learned from what was given before it, if its data set has the file", () => {
  const rows = ["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z", undefined].map((at, line) => ({
    file: FILE,
    line,
    kind: "pair",
    models: [],
    ...(at === undefined ? {} : { at }),
  }));
  const job = (path: string): Job =>
    ({
      createdAt: "2026-02-01T00:00:00Z",
      config: { datasetSource: { type: "list", sources: [{ type: "file", path }] } },
    }) as unknown as Job;
  const lines = (path: string): number[] => learnedFrom(job(path), some({ rows })).map(({ line }) => line);
  expect(lines(FILE)).toEqual([0, 2]);
  expect(lines("data")).toEqual([0, 2]);
  expect(lines("data/other.jsonl")).toEqual([]);
});
