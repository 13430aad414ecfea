import { expect, it } from "vitest";
import { ordinal, queueWords } from "./queue";

const job = (queue: unknown) => ({ queue }) as Parameters<typeof queueWords>[0];

it("says the place in the queue and behind what", () => {
  expect(queueWords(job({ position: 1, behind: { id: "a", name: "support-bot" } }))).toBe(
    "Queued, next after support-bot",
  );
  expect(queueWords(job({ position: 3, behind: { id: "a", name: "b\u202e" } }))).toBe(
    "Queued, 3rd, behind b",
  );
  expect(queueWords(job({ position: 1, behind: null }))).toBe("Queued, next");
});

it("says no more than the backend does", () => {
  expect(queueWords(job(undefined))).toBe("Queued");
  expect(queueWords(job({ position: "x", behind: null }))).toBe("Queued");
  expect(queueWords(job({ position: 0, behind: { id: "a", name: "b" } }))).toBe("Queued, behind b");
});

it("counts as people do", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(ordinal)).toEqual([
    "next",
    "2nd",
    "3rd",
    "4th",
    "11th",
    "12th",
    "13th",
    "21st",
    "22nd",
    "103rd",
    "111th",
  ]);
});
