import { afterEach, expect, test, vi } from "vitest";
import { takeEarly } from "./prefetch";

afterEach(() => vi.unstubAllGlobals());

test("an early answer is taken once, and by its own question only", () => {
  const answer = Promise.resolve(new Response("x"));
  vi.stubGlobal("arkorEarly", { url: "/api/jobs/a/history", answer });
  expect(takeEarly("/api/jobs/b/history")).toBeNull();
  expect(takeEarly("/api/jobs/a/history")).toBe(answer);
  expect(takeEarly("/api/jobs/a/history")).toBeNull();
});
