import { expect, it } from "vitest";
import { placeOf, queueWords } from "./queue";

const job = (queue: unknown) => ({ queue }) as Parameters<typeof queueWords>[0];

it("says the place in the queue and behind what", () => {
  expect(queueWords(job({ position: 1, behind: { id: "a", name: "support-bot" } }))).toBe("Queued, next after support-bot");
  expect(queueWords(job({ position: 3, behind: { id: "a", name: "b\u202e" } }))).toBe("Queued, 3rd in the queue behind b");
  expect(queueWords(job({ position: 1, behind: null }))).toBe("Queued, next");
});

it("says no more than the backend does", () => {
  expect(queueWords(job(undefined))).toBe("Queued");
  expect(queueWords(job({ position: "x", behind: null }))).toBe("Queued");
  expect(queueWords(job({ position: 0, behind: { id: "a", name: "b" } }))).toBe("Queued, behind b");
});

it("counts as people do", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(placeOf)).toEqual([
    "next", "2nd in the queue", "3rd in the queue", "4th in the queue", "11th in the queue", "12th in the queue",
    "13th in the queue", "21st in the queue", "22nd in the queue", "103rd in the queue", "111th in the queue",
  ]);
});
