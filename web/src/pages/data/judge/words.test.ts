import { expect, it } from "vitest";
import type { Job, Trainer } from "../../../contract.gen";
import { fewOf, lossesPath, trainedFor } from "./losses";
import { agreementWords, countWords, queueOf, reviewWords, rubricWords, tagsOf } from "./words";

it("reads tags as they are typed", () => {
  expect(tagsOf(" tone,too   long,, tone ")).toEqual(["tone", "too long"]);
  expect(tagsOf("")).toEqual([]);
});

it("says how far two people agree, and when that is not defined", () => {
  const both = { people: ["Ann", ""], rows: 50, equal: 38, kappa: 0.6234, low: 0.41, high: 0.79 };
  expect(agreementWords(both)).toBe("Ann and somebody agree on 38 of 50 rows, κ 0.62 (95 % 0.41 to 0.79)");
  expect(agreementWords({ ...both, rows: 1, equal: 1, kappa: null, low: null, high: null })).toBe(
    "Ann and somebody agree on 1 of 1 row; κ needs two different verdicts",
  );
});

it("says how far a rubric's judge can be trusted, and what is missing", () => {
  const judge = { by: "qwen (rubric)", scored: 120, rows: 24, equal: 18, needs: 0, heard: true };
  const measured = { ...judge, kappa: 0.52, low: 0.2, high: 0.8 };
  expect(rubricWords(measured)).toBe(
    "qwen (rubric) scored 120 rows · agrees with people on 18 of 24 of them, κ 0.52 (95 % 0.20 to 0.80)",
  );
  expect(rubricWords({ ...measured, kappa: 0.1, heard: false })).toContain("too little to go by");
  expect(rubricWords({ ...measured, rows: 5, needs: 15, heard: false })).toContain("judge 15 more");
});

it("counts verdicts, and disputed rows where there are some", () => {
  const summary = {
    file: "data/reviews.jsonl",
    rows: 6,
    accepted: 1,
    rejected: 2,
    flagged: 0,
    unseen: 3,
    made: 0,
    disputed: 0,
    tags: [],
    people: [],
    agreement: [],
    rubrics: [],
    by: "",
  };
  expect(countWords(summary)).toBe("1 accepted · 2 rejected · 0 flagged · 3 unseen");
  expect(countWords({ ...summary, disputed: 1 })).toContain("1 disputed");
});

it("shows what others said as text, and takes an unknown queue for the usual one", () => {
  const review = { row: "0", by: "Bo\u202e", verdict: "rejected", tags: ["tone"], comment: "<b>" } as const;
  expect(reviewWords({ ...review, tags: ["tone"] })).toBe("Bo: rejected · tone · <b>");
  expect(queueOf("flagged")).toBe("flagged");
  expect(queueOf("<script>")).toBe("unseen");
});

it("offers the losses of finished adapters of the same base", () => {
  const job = (id: string, model: string, status = "completed") =>
    ({ id, name: id, status, createdAt: id, config: { model } }) as unknown as Job;
  const trainer = { name: "bot", config: { model: "m" } } as unknown as Trainer;
  const every = [job("a", "m"), job("b", "other"), job("c", "m"), job("d", "m", "running")];
  expect(trainedFor(every, trainer).map(({ id }) => id)).toEqual(["c", "a"]);
  const trial = (n: number) => ({
    ...job(`t${n}`, "m"),
    sweep: { id: "s", name: "s", trial: n },
    metrics: { bestEvalLoss: [5, 1, 4, 2, 3][n]! },
  });
  const listed = fewOf([job("e", "m"), ...[0, 1, 2, 3, 4].map(trial), job("f", "m")] as Job[]);
  expect(listed.map(({ id }) => id)).toEqual(["e", "t1", "t3", "t4", "f"]);
  expect([lossesPath(""), lossesPath("c")]).toEqual(["/losses", "/losses/c"]);
});
