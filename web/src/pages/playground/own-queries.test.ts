import { expect, test } from "vitest";
import { OwnQueries } from "./own-queries";

test("an own query that is heard of late is still ours", () => {
  const own = new OwnQueries();
  own.wrote("", "final");
  own.wrote("final", "step=20");
  expect(own.hear("final")).toBe(true);
  expect(own.hear("step=20")).toBe(true);
});

test("a link to what was written once is followed", () => {
  const own = new OwnQueries();
  own.wrote("", "final");
  own.wrote("final", "step=20");
  expect(own.hear("step=20")).toBe(true);
  expect(own.hear("final")).toBe(false);
});

test("what changes nothing is never heard of", () => {
  const own = new OwnQueries();
  own.wrote("final", "final");
  expect(own.hear("final")).toBe(false);
});

test("what somebody else wrote is not ours, and forgets nothing", () => {
  const own = new OwnQueries();
  own.wrote("", "final");
  expect(own.hear("link")).toBe(false);
  expect(own.hear("final")).toBe(true);
});
