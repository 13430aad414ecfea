import { describe, expect, it } from "vitest";
import type { Certificate } from "../../../contract.gen";
import { certificateOf, notFoundWords, repeatWords, shareWords } from "./words";

describe("a certificate in words", () => {
  it("says what share was trained again", () => {
    const certificate = { message: "Continued from step 4.", start: 4, steps: 10 } as Certificate;
    expect(shareWords(certificate)).toBe("Continued from step 4. 60 % of its 10 steps were trained again.");
    expect(shareWords({ ...certificate, start: 0 })).toMatch(/ 100 % of its 10 steps/);
  });

  it("does not say of what was not searched that nothing is there", () => {
    expect(notFoundWords("Its", 0)).toBe("Its text was not found on this machine.");
    expect(notFoundWords("Its", 2)).toMatch(/in what could be searched; 2 places not searched/);
  });

  it("is refused if a list of it is none", () => {
    const lists = { rows: [], copies: [], dependents: [], unsearched: [], deleted: [] };
    const certificate = lists as unknown as Certificate;
    expect(certificateOf({ certificate })).toBe(certificate);
    for (const name of Object.keys(lists))
      expect(() => certificateOf({ certificate: { ...certificate, [name]: 5 } })).toThrow(/unreadable/);
    expect(() => certificateOf({})).toThrow(/unreadable/);
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
