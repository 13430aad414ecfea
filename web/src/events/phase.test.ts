import { expect, it } from "vitest";
import { phaseWord, timeToEnd } from "./phase";
import { Run } from "./run";

const run = (values: Partial<Run>): Run => Object.assign(new Run(), values);

it("names what a job is doing, also by a phase that it does not know", () => {
  expect(phaseWord(run({}))).toBe("Starting");
  expect(phaseWord(run({ progress: { label: "Downloading tiny", done: 1, total: 2 } }))).toBe(
    "Downloading tiny",
  );
  expect(phaseWord(run({ phase: { name: "evaluating", since: 0 } }))).toBe("Evaluating");
  expect(phaseWord(run({ phase: { name: "toString", since: 0 } }))).toBe("toString");
});

it("counts the time to the end of the job down from when it was estimated", () => {
  expect(timeToEnd(run({}), 1000)).toBeNull();
  expect(timeToEnd(run({ timeLeft: { ms: 5000, from: 1000 } }), 3000)).toBe(3000);
  expect(timeToEnd(run({ timeLeft: { ms: 5000, from: 1000 } }), 9000)).toBe(0);
});
