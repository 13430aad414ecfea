import { describe, expect, it } from "vitest";
import type { Job } from "../../contract.gen";
import { COLUMNS, type Column } from "./columns";
import { bySweep, countByStatus, countTags, durationOf, marked, parts, search } from "./list";
import { NEWEST_FIRST, nextOrder, orderText, parseOrder, sorted } from "./order";

function job(id: string, fields: Partial<Job> = {}): Job {
  return {
    id,
    orgId: "o",
    projectId: "p",
    name: id,
    status: "completed",
    config: { model: "m", datasetSource: { type: "file" } },
    createdAt: "2026-01-01T00:00:00Z",
    ...fields,
  };
}

const column = (name: string): Column => COLUMNS.find((column) => column.name === name)!;
const ids = (jobs: readonly Job[]): string[] => jobs.map(({ id }) => id);

// @ts-expect-error A column without a sort does not compile.
const WITHOUT_SORT: Column = { name: "unsorted", header: "Unsorted", cell: () => null };

it("knows only columns that can be sorted, each by a name of its own", () => {
  expect(new Set([...COLUMNS, WITHOUT_SORT].map(({ name }) => name)).size).toBe(COLUMNS.length + 1);
  const jobs = [job("a"), job("b")];
  for (const column of COLUMNS) {
    for (const descending of [true, false])
      expect(ids(sorted(jobs, { column, descending }, 0))).toHaveLength(2);
  }
});

describe("order in the address", () => {
  it.each(
    COLUMNS.flatMap((column) => [
      { column, descending: true },
      { column, descending: false },
    ]),
  )("$column.name, descending: $descending survives", (order) => {
    expect(parseOrder(orderText(order))).toEqual(order);
  });

  it("is the newest first for what says nothing", () => {
    for (const text of [null, "", "-", "constructor", "-size"])
      expect(parseOrder(text)).toEqual(NEWEST_FIRST);
  });

  it("turns round on the second click", () => {
    const once = nextOrder(NEWEST_FIRST, column("best"));
    expect(once).toEqual({ column: column("best"), descending: false });
    expect(nextOrder(once, column("best"))).toEqual({ column: column("best"), descending: true });
  });
});

describe("search", () => {
  const jobs = [job("a1", { name: "Support bot" }), job("b2", { name: "sql" })];
  it.each([
    ["", ["a1", "b2"]],
    ["BOT", ["a1"]],
    ["bot supp", ["a1"]],
    ["b2", ["b2"]],
    ["bot sql", []],
  ])("%j", (typed, matches) => expect(ids(search(jobs, typed))).toEqual(matches));
});

describe("sorted", () => {
  it("keeps what has no value last in both directions", () => {
    const jobs = [
      job("none"),
      job("worse", { metrics: { bestEvalLoss: 2 } }),
      job("better", { metrics: { bestEvalLoss: 1 } }),
      job("nan", { metrics: { bestEvalLoss: Number.NaN } }),
    ];
    expect(ids(sorted(jobs, { column: column("best"), descending: false }, 0))).toEqual([
      "better",
      "worse",
      "none",
      "nan",
    ]);
    expect(ids(sorted(jobs, { column: column("best"), descending: true }, 0))).toEqual([
      "worse",
      "better",
      "none",
      "nan",
    ]);
  });

  it("orders names as people count", () => {
    const jobs = ["run-10", "Run-2", "run-1"].map((name) => job(name));
    expect(ids(sorted(jobs, { column: column("name"), descending: false }, 0))).toEqual([
      "run-1",
      "Run-2",
      "run-10",
    ]);
  });

  it("follows a job's course by status", () => {
    const jobs = (["failed", "running", "queued"] as const).map((status) => job(status, { status }));
    expect(ids(sorted(jobs, { column: column("status"), descending: false }, 0))).toEqual([
      "queued",
      "running",
      "failed",
    ]);
  });

  it("does not change the list it was given", () => {
    const jobs = [job("b"), job("a")];
    sorted(jobs, { column: column("name"), descending: false }, 0);
    expect(ids(jobs)).toEqual(["b", "a"]);
  });
});

describe("parts", () => {
  const windows = (held: number): number[][] =>
    parts(10, 20, held, 100).map(({ gap, from, to }) => [gap, from, to]);
  it.each([
    [
      -1,
      [
        [10, 10, 20],
        [80, 100, 100],
      ],
    ],
    [
      12,
      [
        [10, 10, 20],
        [80, 100, 100],
      ],
    ],
    [
      3,
      [
        [3, 3, 4],
        [6, 10, 20],
        [80, 100, 100],
      ],
    ],
    [
      9,
      [
        [9, 9, 10],
        [0, 10, 20],
        [80, 100, 100],
      ],
    ],
    [
      20,
      [
        [10, 10, 20],
        [0, 20, 21],
        [79, 100, 100],
      ],
    ],
    [
      99,
      [
        [10, 10, 20],
        [79, 99, 100],
        [0, 100, 100],
      ],
    ],
  ])("with %i held", (held, drawn) => expect(windows(held)).toEqual(drawn));
});

describe("durationOf", () => {
  const started = { startedAt: "2026-01-01T00:00:00Z" };
  const now = Date.parse("2026-01-01T00:01:00Z");
  it("runs on while the job does", () => {
    expect(durationOf(job("a", { ...started, status: "running" }), now)).toBe(60_000);
  });

  it("is unknown before the start and where an end was not told", () => {
    expect(durationOf(job("a", { status: "queued" }), now)).toBeNull();
    expect(durationOf(job("a", { ...started, status: "failed" }), now)).toBeNull();
  });

  it("stands still at the end", () => {
    expect(durationOf(job("a", { ...started, completedAt: "2026-01-01T00:00:05Z" }), now)).toBe(5000);
  });
});

describe("countByStatus", () => {
  it("counts statuses nobody told us of", () => {
    const counts = countByStatus([job("a"), job("b", { status: "paused" as Job["status"] })]);
    expect([counts.get("completed"), counts.get("queued"), counts.get("paused")]).toEqual([1, 0, 1]);
  });
});

describe("what a person has said of jobs", () => {
  const list = [
    job("a", { tags: ["good", "later"], starred: true, notes: "Lower RATE" }),
    job("b", { tags: ["good", "good"] }),
    job("c"),
  ];
  const ids = (list: readonly Job[]): string => list.map(({ id }) => id).join("");

  it("is searched", () => {
    expect([ids(search(list, "rate")), ids(search(list, "later"))]).toEqual(["a", "a"]);
  });

  it("filters by a tag, by a star, by both", () => {
    expect([ids(marked(list, "good", false)), ids(marked(list, "", true))]).toEqual(["ab", "a"]);
    expect([ids(marked(list, "good", true)), ids(marked(list, "goo", false))]).toEqual(["a", ""]);
    expect(marked(list, "", false)).toBe(list);
  });

  it("counts each tag once a job", () => {
    expect(countTags(list)).toEqual([
      ["good", 2],
      ["later", 1],
    ]);
  });
});

it("shows one row for each sweep, and all of one that is asked for", () => {
  const of = (id: string) => ({ sweep: { id, name: id, trial: 0 } });
  const list = [
    job("c", of("s1")),
    job("b", { ...of("s1"), status: "running" }),
    job("mine"),
    job("a", of("s1")),
    job("z", of("s2")),
    job("y", of("s2")),
  ];
  expect(ids(bySweep(list, ""))).toEqual(["b", "mine", "z"]);
  expect(ids(bySweep(list, "s1"))).toEqual(["c", "b", "a"]);
  const none = [job("mine")];
  expect(bySweep(none, "")).toBe(none);
});
