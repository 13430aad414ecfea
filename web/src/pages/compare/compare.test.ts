import { expect, test } from "vitest";
import type { Job } from "../../contract.gen";
import { bestIndex, differences, generalSentence, idsOf, MOST, styleOf } from "./diff";
import { distinctNames } from "./names";
import { differenceWords } from "./rows";

const job = (config: object): Job =>
  ({ config: { model: "m", datasetSource: { type: "file", path: "a.jsonl" }, ...config } }) as Job;

test("settings that differ are told from those that do not; a job not known counts for neither", () => {
  const rows = differences([
    job({ learningRate: 1e-3, loraR: 8 }),
    undefined,
    job({ learningRate: 2e-3, loraR: 8, dryRun: true }),
  ]);
  const by = new Map(rows.map(({ label, values, same }) => [label, { values, same }]));
  expect(by.get("Learning rate")).toEqual({ values: ["0.001", null, "0.002"], same: false });
  expect(by.get("LoRA rank")).toEqual({ values: ["8", null, "8"], same: true });
  expect(by.get("Dry run")).toEqual({ values: [null, null, "yes"], same: false });
  expect(by.get("Base model")?.same).toBe(true);
});

test("jobs are compared by what ran: a default of one and the same value asked for by the other do not differ", () => {
  const ran = { ...job({}), settings: { loraR: 8, seed: 42 } } as Job;
  const by = new Map(
    differences([ran, job({ loraR: 8, seed: 7 })]).map(({ label, values, same }) => [
      label,
      { values, same },
    ]),
  );
  expect(by.get("LoRA rank")).toEqual({ values: ["8", "8"], same: true });
  expect(by.get("Seed")).toEqual({ values: ["42", "7"], same: false });
  const unsaid = new Map(
    differences([ran, job({})]).map(({ label, values, same }) => [label, { values, same }]),
  );
  expect(unsaid.get("Seed")).toEqual({ values: ["42", null], same: true });
});

test("values that only look the same are told apart, by all their digits", () => {
  const of = (label: string, ...configs: object[]) =>
    differences(configs.map(job)).find((row) => row.label === label);
  expect(of("Learning rate", { learningRate: 1e-3 }, { learningRate: 0.0010004 })).toMatchObject({
    values: ["0.001", "0.0010004"],
    same: false,
  });
  expect(of("Learning rate", { learningRate: 1e-3 }, {}, { learningRate: 2e-3 })).toMatchObject({
    values: ["0.001", null, "0.002"],
    same: false,
  });
  const source = { type: "huggingface", name: "d", split: "a" };
  expect(
    of(
      "Data set",
      { datasetSource: source },
      { datasetSource: { split: "a", name: "d", type: "huggingface" } },
    ),
  ).toMatchObject({ same: true });
  expect(
    of(
      "Data set",
      { datasetSource: source },
      { datasetSource: { ...source, type: "blob", token: "secret" } },
    ),
  ).toMatchObject({ same: false });
  expect(
    JSON.stringify(
      differences([job({ datasetSource: source }), job({ datasetSource: { ...source, token: "secret" } })]),
    ),
  ).not.toContain("secret");
});

test("ids come once each, and no more than can be told apart", () => {
  expect(idsOf(new URLSearchParams("jobs=a,b,,a, c "))).toEqual(["a", "b", "c"]);
  expect(idsOf(new URLSearchParams(""))).toEqual([]);
  expect(
    idsOf(new URLSearchParams({ jobs: Array.from({ length: 99 }, (_, i) => i).join(",") })),
  ).toHaveLength(MOST);
});

test("no two compared jobs look alike", () => {
  const styles = Array.from({ length: MOST }, (_, index) => JSON.stringify(styleOf(index)));
  expect(new Set(styles).size).toBe(MOST);
  expect(styleOf(0)).toEqual({ tone: "--series-1" });
});

test("the best is named only where there is a difference", () => {
  expect(bestIndex([3, 1, null, 2])).toBe(1);
  expect(bestIndex([3, 1, 2], true)).toBe(0);
  expect(bestIndex([1, 1, null])).toBe(-1);
  expect(bestIndex([1, 1, 2])).toBe(-1);
  expect(bestIndex([5])).toBe(-1);
  expect(bestIndex([null, NaN])).toBe(-1);
});

test("names that are the same are told apart by the id", () => {
  expect(
    distinctNames([
      { id: "abcdefgh", name: "x" },
      { id: "12345678", name: "x" },
      { id: "q", name: "y" },
      { id: "r", name: undefined },
    ]),
  ).toEqual(["x abcdef", "x 123456", "y", "r"]);
  const runs = (...ids: string[]): string[] => distinctNames(ids.map((id) => ({ id, name: "x" })));
  expect(runs("job_3f9a01c2", "job_77d012ab")).toEqual(["x 3f9a01", "x 77d012"]);
  expect(runs("job_0193a2b3c4d5", "job_0193a2b3c4e6", "job_0193a2b3c4e7")).toEqual([
    "x 0193a2b3c4d5",
    "x 0193a2b3c4e6",
    "x 0193a2b3c4e7",
  ]);
  expect(runs("job-1", "job-12", "other")).toEqual(["x job-1", "x job-12", "x other"]);
});

test("what two adapters have forgotten is told beside each other", () => {
  const jobWith = (mean?: unknown): Job =>
    ({ evaluation: mean === undefined ? {} : { general: { difference: { mean } } } }) as unknown as Job;
  expect(generalSentence(jobWith(-0.93), jobWith(0.001), "one")).toBe(
    "General questions: its loss rose by 0.93; that of one is unchanged.",
  );
  expect(generalSentence(jobWith(0.2), jobWith(-0.31), "one")).toContain(
    "its loss fell by 0.20; that of one rose",
  );
  for (const other of [undefined, jobWith(), jobWith("0.3")])
    expect(generalSentence(jobWith(-0.93), other, "one")).toBe("");
});

test("rows that differ are counted", () => {
  const none = { same: 0, changed: 0, added: 0, removed: 0, rows: [] };
  expect(differenceWords(none)).toBe("none");
  expect(differenceWords({ ...none, same: 1 })).toBe("the same 1 row");
  expect(differenceWords({ ...none, same: 1183, added: 12, changed: 3 })).toBe(
    "12 added · 3 changed · 1,183 the same",
  );
});
