import { describe, expect, it } from "vitest";
import type { Attribution, Proof } from "../../contract.gen";
import {
  keepWords,
  pending,
  perToken,
  proofLines,
  proofVerdict,
  reliabilityWords,
  similarTitle,
} from "./words";

const score = (logp: number, tokens = 10) => ({ logp, tokens });
const proof = (without: number, random: number, trained = -1): Proof => ({
  state: "completed",
  jobs: {},
  rows: ["a", "b"],
  trained: score(trained),
  without: score(without),
  random: score(random),
});

describe("an attribution in words", () => {
  it("shows the probability of a token", () => {
    expect(perToken(score(-10 * Math.log(2)))).toBe("50.0 %");
    expect(perToken(score(-100))).toBe("below 0.1 %");
    expect(perToken(score(-1, 0))).toBe("unknown");
    expect(perToken(undefined)).toBe("unknown");
  });

  it("never hides that rows are unproven", () => {
    expect(reliabilityWords(undefined)).toContain("unknown");
    expect(reliabilityWords({ proofs: 0, confirmed: 0 })).toContain("unknown");
    expect(reliabilityWords({ proofs: 3, confirmed: 1 })).toContain("1 of 3 proposals");
  });

  it("calls a proof confirmed only if the rows matter more than random ones", () => {
    expect(proofVerdict(proof(-9, -2))).toMatch(/^Confirmed/);
    expect(proofVerdict(proof(-2, -9))).toMatch(/^Not confirmed/);
    expect(proofVerdict(proof(-0.5, -0.4))).toMatch(/^Not confirmed/);
    expect(proofLines(proof(-9, -2)).map(({ name }) => name)).toEqual([
      "As trained",
      "Without these 2 rows",
      "Without 2 random rows",
    ]);
  });

  it("keeps a training without rows only if it is better beyond doubt", () => {
    expect(keepWords("better", "them")).toMatch(/^Keep the training without them/);
    for (const verdict of ["same", "unclear", "worse"] as const)
      expect(keepWords(verdict, "it")).toMatch(/^Keep the job as it is/);
  });

  it("says if no row is close", () => {
    const similar = [{ where: "a", question: "q", answer: "a", score: 0.2 }];
    const attribution: Attribution = { id: "a", state: "completed", close: true, similar };
    expect(similarTitle(attribution)).toBe("Training rows with the most words in common");
    expect(similarTitle({ ...attribution, close: false })).toMatch(/^No row is close .* The nearest/);
    expect(similarTitle({ ...attribution, close: false, similar: [] })).toMatch(/^No row is close [^.]*\.$/);
  });

  it("waits for the worker and for the trainings", () => {
    const attribution = (state: string, of?: string) =>
      ({ state, proof: of && { state: of } }) as Attribution;
    expect(pending(attribution("running"))).toBe(true);
    expect(pending(attribution("completed", "training"))).toBe(true);
    expect(pending(attribution("completed", "failed"))).toBe(false);
    expect(pending(attribution("failed"))).toBe(false);
  });
});
