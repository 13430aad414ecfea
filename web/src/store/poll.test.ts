import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connection, daemonAnswered, daemonGone } from "../api/connection";
import { poll } from "./poll";

const EVERY_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
  const page = Object.assign(new EventTarget(), { hidden: false, querySelector: () => null });
  vi.stubGlobal("document", page);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("once the daemon is found again, a poll runs at once and not at its next time", async () => {
  let answers = true;
  vi.stubGlobal("fetch", () =>
    answers ? Promise.resolve(new Response("")) : Promise.reject(new TypeError("away")),
  );
  let calls = 0;
  const polled = poll(
    async () => {
      calls += 1;
      if (answers) daemonAnswered();
      else daemonGone();
    },
    () => EVERY_MS,
  );
  await vi.advanceTimersByTimeAsync(0);
  expect([calls, connection.value]).toEqual([1, "live"]);
  answers = false;
  // The request fails before the daemon is known to be gone: the next one is a whole period away.
  await vi.advanceTimersByTimeAsync(EVERY_MS);
  expect([calls, connection.value]).toEqual([2, "gone"]);
  await vi.advanceTimersByTimeAsync(3 * EVERY_MS);
  expect(calls).toBe(2);
  answers = true;
  await vi.advanceTimersByTimeAsync(1000);
  expect([calls, connection.value]).toEqual([3, "live"]);
  polled.stop();
  await vi.advanceTimersByTimeAsync(3 * EVERY_MS);
  expect(calls).toBe(3);
});
