import { expect, test } from "vitest";
import type { Correction, Job } from "../../../contract.gen";
import { became, learnedBy } from "./became";

const row = (line: number, more: Partial<Correction> = {}, wanted = "In the ledger."): Correction => ({
  line,
  messages: [
    { role: "user", content: `Question ${line}` },
    { role: "assistant", content: wanted },
  ],
  ...more,
});
const job = { createdAt: "2026-01-02T00:00:00Z" } as Job;

test("an answer is as wanted, as before, or another", () => {
  const corrected = row(1, { instead: "I do not know." });
  expect(became(corrected, "  In the\n ledger. ")).toBe("as wanted");
  expect(became(corrected, "I do not know.")).toBe("as before");
  expect(became(corrected, "In the sea.")).toBe("another answer");
  expect(became(row(1), "")).toBe("another answer");
});

test("only what was there when the job was made is asked", () => {
  const rows = [
    row(1, { at: "2026-01-01T00:00:00+00:00" }),
    row(2, { at: "2026-01-03T00:00:00+00:00" }),
    row(3),
    row(4, { at: "no time" }),
  ];
  expect(learnedBy(job, rows).map(({ line }) => line)).toEqual([1, 3, 4]);
});

test("the same question with the same answer is asked once", () => {
  const one = row(1);
  expect(learnedBy(job, [one, { ...one, line: 2 }]).map(({ line }) => line)).toEqual([2]);
});
