import { expect, it } from "vitest";
import { asJob } from "./job";

const JOB = {
  id: "a",
  orgId: "o",
  projectId: "p",
  name: "n",
  status: "running",
  config: { model: "m" },
  createdAt: "2026-01-01",
  metrics: {},
};

it("a whole job is the same object", () => expect(asJob(JOB)).toBe(JOB));

it.each([null, 7, "a", [], {}, { id: 7 }, { id: "" }])("%j is no job", (sent) =>
  expect(asJob(sent)).toBeNull(),
);

it("what is missing or of another kind is empty, and the rest stays", () => {
  expect(asJob({ id: "a" })).toEqual({
    id: "a",
    orgId: "",
    projectId: "",
    name: "",
    status: "",
    createdAt: "",
    config: {},
  });
  expect(asJob({ ...JOB, name: 7, config: "none", error: { code: 1 }, more: true })).toEqual({
    ...JOB,
    name: "",
    config: {},
    error: '{"code":1}',
    more: true,
  });
  expect(asJob({ ...JOB, settings: "none" })).toEqual(JOB);
  expect(asJob({ ...JOB, settings: { loraR: 8 } })?.settings).toEqual({ loraR: 8 });
});

it("what a person has said of it is text, a list of texts, and yes or no", () => {
  const annotated = { ...JOB, notes: "n", tags: ["a"], starred: true };
  expect(asJob(annotated)).toBe(annotated);
  expect(asJob({ ...JOB, notes: 5, tags: ["a", 5, null], starred: "yes" })).toEqual({
    ...JOB,
    tags: ["a"],
    starred: false,
  });
  expect(asJob({ ...JOB, tags: { a: 1 } })?.tags).toBeUndefined();
});
