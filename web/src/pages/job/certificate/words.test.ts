import { describe, expect, it } from "vitest";
import type { Certificate } from "../../../contract.gen";
import { repeatWords, shareWords } from "./words";

describe("a certificate in words", () => {
  it("says what share was trained again", () => {
    const certificate = { message: "Continued from step 4.", start: 4, steps: 10 } as Certificate;
    expect(shareWords(certificate)).toBe("Continued from step 4. 60 % of its 10 steps were trained again.");
    expect(shareWords({ ...certificate, start: 0 })).toMatch(/ 100 % of its 10 steps/);
  });

  it("says whether a training from the start has the same bits", () => {
    expect(repeatWords({ job: "a", state: "completed", same: true }, "it")).toBe(
      "Trained from the start without it: the same bits.",
    );
    expect(repeatWords({ job: "a", state: "completed", same: false }, "it")).toMatch(/differ/);
    expect(repeatWords({ job: "a", state: "failed" }, "it")).toMatch(/failed/);
    expect(repeatWords({ job: "a", state: "training" }, "it")).toMatch(/under way/);
  });
});
