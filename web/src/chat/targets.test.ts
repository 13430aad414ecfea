import { describe, expect, it } from "vitest";
import type { Job, Manifest } from "../contract.gen";
import { href } from "../router";
import type { Target } from "./model/types";
import {
  adapterJobs,
  answerOf,
  baseModels,
  comparePair,
  defaultTarget,
  fullName,
  newestAdapter,
  parseTarget,
  queryOfTargets,
  targetKey,
  targetsOfQuery,
} from "./targets";

const job = (id: string, status: Job["status"], createdAt: string, model = "hub/m"): Job => ({
  id,
  orgId: "o",
  projectId: "p",
  name: `name of ${id}`,
  status,
  createdAt,
  config: { model, datasetSource: { type: "file", path: "x" } },
});

const targets: Target[] = [
  { kind: "base", model: "HuggingFaceTB/SmolLM2:135M Instruct" },
  { kind: "base", model: "/home/me/models/tiny é" },
  { kind: "final", jobId: "a:b" },
  { kind: "checkpoint", jobId: "3:x", step: 20 },
];

it("offers nothing of a job that another program runs", () => {
  const reported = job("r", "completed", "2026-02-01", "another program");
  reported.config.reported = true;
  const jobs = [reported, job("a", "completed", "2026-01-01")];
  expect(baseModels(jobs, null, null)).toEqual(["hub/m"]);
  expect(adapterJobs(jobs).map(({ id }) => id)).toEqual(["a"]);
  expect(newestAdapter(jobs)).toEqual({ kind: "final", jobId: "a" });
});

describe("targets in words and links", () => {
  it.each(targets)("%j survives its key and its link", (target) => {
    expect(parseTarget(targetKey(target))).toEqual(target);
    const query = new URLSearchParams(href("/", queryOfTargets([target, targets[2]!])).slice(3));
    expect(targetsOfQuery(query)).toEqual([target, targets[2]]);
  });

  it.each([
    "",
    "base:",
    "other:x",
    "checkpoint:j:x",
    "checkpoint:5",
    "checkpoint::5",
    "checkpoint:j:99999999999999999",
  ])("refuses %j", (key) => {
    expect(parseTarget(key)).toBeNull();
  });

  it("reads deep links, and takes a broken step for none", () => {
    expect(targetsOfQuery(new URLSearchParams("job=j&step=20"))).toEqual([
      { kind: "checkpoint", jobId: "j", step: 20 },
    ]);
    expect(targetsOfQuery(new URLSearchParams("job=j&step=-1"))).toEqual([{ kind: "final", jobId: "j" }]);
    expect(targetsOfQuery(new URLSearchParams("against=base:m"))).toEqual([]);
  });

  it("names an adapter by its job, or by its id when the job is unknown", () => {
    const jobs = [job("j", "completed", "1")];
    expect(fullName({ kind: "final", jobId: "j" }, jobs)).toBe("name of j · final adapter");
    expect(fullName({ kind: "checkpoint", jobId: "k", step: 3 }, jobs)).toBe("k · step 3");
  });
});

describe("the choice", () => {
  const jobs = [
    job("old", "completed", "2026-01-01", "hub/m"),
    job("new", "completed", "2026-01-03", "hub/n"),
    job("run", "running", "2026-01-04", "hub/m"),
  ];
  const manifest: Manifest = {
    trainer: null,
    trainers: [{ name: "t", config: { model: "hub/t", datasetSource: { type: "file" } } }, { name: "u" }],
  };

  it("offers each base model once, trainers' first", () => {
    expect(baseModels(jobs, manifest, ["hub/default", "hub/t"])).toEqual([
      "hub/t",
      "hub/m",
      "hub/n",
      "hub/default",
    ]);
    expect(baseModels([{ ...jobs[0]!, config: undefined as never }], null, null)).toEqual([]);
  });

  it("starts with the newest finished adapter", () => {
    expect(defaultTarget(jobs, [])).toEqual({ kind: "final", jobId: "new" });
    expect(defaultTarget([jobs[2]!], ["x"])).toEqual({ kind: "base", model: "x" });
    expect(defaultTarget([], [])).toBeNull();
  });

  const best = (more: object): Job => ({
    ...job("over", "completed", "2026-01-05"),
    evaluation: {
      verdict: "better",
      sentence: "",
      bestStep: 20,
      bestVerdict: "better",
      bestKept: true,
      ...more,
    },
  });

  it("starts with the best checkpoint where that is better beyond doubt", () => {
    const checkpoint: Target = { kind: "checkpoint", jobId: "over", step: 20 };
    expect(defaultTarget([...jobs, best({})], [])).toEqual(checkpoint);
    expect(comparePair({ kind: "base", model: "hub/m" }, [...jobs, best({})], [])?.[1]).toEqual(checkpoint);
    expect(fullName(checkpoint, [best({})])).toBe("name of over · step 20, the best");
    expect(fullName({ ...checkpoint, step: 30 }, [best({})])).toBe("name of over · step 30");
  });

  it.each([
    [{ bestVerdict: "same" }],
    [{ bestKept: false }],
    [{ bestKept: "yes" }],
    [{ bestStep: "20" }],
    [{ bestStep: 1e300 }],
    [{ bestStep: -1 }],
  ])("starts with the final adapter where the best is %j", (more) => {
    expect(answerOf(best(more))).toEqual({ kind: "final", jobId: "over" });
  });

  it("compares an adapter with its own base, and a base with its newest adapter", () => {
    expect(comparePair({ kind: "final", jobId: "old" }, jobs, ["hub/t"])?.[0]).toEqual({
      kind: "base",
      model: "hub/m",
    });
    expect(comparePair({ kind: "base", model: "hub/m" }, jobs, [])?.[1]).toEqual({
      kind: "final",
      jobId: "old",
    });
    expect(comparePair({ kind: "base", model: "zzz" }, jobs, [])?.[1]).toEqual({
      kind: "final",
      jobId: "new",
    });
    expect(comparePair({ kind: "base", model: "x" }, [], ["x", "y"])?.[1]).toEqual({
      kind: "base",
      model: "y",
    });
    expect(comparePair({ kind: "base", model: "x" }, [], ["x"])).toBeNull();
  });
});
