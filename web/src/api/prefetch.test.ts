import { afterEach, expect, test, vi } from "vitest";
import { takePrefetched } from "./prefetch";

afterEach(() => vi.unstubAllGlobals());

test("an early answer is taken once, and by its own question only", () => {
  const answer = Promise.resolve(new Response("x"));
  vi.stubGlobal("arkorPrefetched", { url: "/api/jobs/a/history", answer });
  expect(takePrefetched("/api/jobs/b/history")).toBeNull();
  expect(takePrefetched("/api/jobs/a/history")).toBe(answer);
  expect(takePrefetched("/api/jobs/a/history")).toBeNull();
});
