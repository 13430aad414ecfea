import { describe, expect, it } from "vitest";
import type { Job } from "../contract.gen";
import type { Target } from "./model/types";
import { chatRequest } from "./request";
import { answerable, noStrength, percent, strengthOf, withStrength } from "./strength";
import { fullName, parseTarget, sameTarget, targetKey } from "./targets";

const adapter = { kind: "final", jobId: "j" } as const;
const half = { ...adapter, strength: 0.5 } as const;
const params = { temperature: 0, topP: 1, maxTokens: 5 };

function job(config: object): Job {
  return {
    id: "j",
    orgId: "",
    projectId: "",
    name: "bot",
    status: "completed",
    createdAt: "",
    config: { model: "m", datasetSource: { type: "file" }, ...config },
  } as Job;
}

describe("a target's strength", () => {
  it("is part of who answers", () => {
    expect(sameTarget(half, adapter)).toBe(false);
    expect(fullName(half, [job({})])).toBe("bot · final adapter at 50 %");
    expect(fullName({ kind: "checkpoint", jobId: "j", step: 20, strength: 0 }, [])).toBe(
      "j · step 20 at 0 %",
    );
  });

  it("is written into a link, and read from it", () => {
    expect(targetKey(half)).toBe("final*0.5:j");
    expect(targetKey({ ...half, strength: 1 })).toBe("final:j");
    for (const target of [
      half,
      adapter,
      { kind: "checkpoint", jobId: "a:b*1", step: 3, strength: 1.25 },
    ] as const)
      expect(parseTarget(targetKey(target))).toEqual(target);
  });

  it("of a link that says nonsense is not taken", () => {
    expect(parseTarget("final*2:j")).toEqual(adapter);
    expect(parseTarget("final*:j")).toBeNull();
    expect(parseTarget("final*0.123:j")).toBeNull();
    expect(parseTarget("base*0.5:m")).toBeNull();
  });

  it("is sent where it is not the whole", () => {
    expect(chatRequest([], half, params)).toMatchObject({ adapter, adapterStrength: 0.5 });
    expect(chatRequest([], { ...adapter, strength: 0 }, params).adapterStrength).toBe(0);
    expect(chatRequest([], adapter, params)).not.toHaveProperty("adapterStrength");
    expect(chatRequest([], { kind: "base", model: "m" }, params)).not.toHaveProperty("adapterStrength");
  });

  it("is rounded, bounded, and left out at 100 %", () => {
    expect(withStrength(adapter, 0.333)).toEqual({ ...adapter, strength: 0.33 });
    expect(withStrength(half, 9)).toEqual({ ...adapter, strength: 1.5 });
    expect(withStrength(half, 1)).toEqual(adapter);
    expect(percent(0.29)).toBe("29 %");
  });

  it("that was stored by something else is the whole", () => {
    for (const strength of ["0.5", Number.NaN, -1, 2, null])
      expect(strengthOf({ ...adapter, strength } as unknown as Target)).toBe(1);
  });

  it("is the whole where no part can be taken", () => {
    const features = new Set(["strength"]);
    expect(answerable(half, features, [job({})])).toEqual(half);
    expect(answerable(half, new Set(), [job({})])).toEqual(adapter);
    for (const config of [{ useDora: true }, { fullFineTuning: true }, { loraModulesToSave: ["lm_head"] }]) {
      expect(noStrength(half, [job(config)])).not.toBeNull();
      expect(answerable(half, features, [job(config)])).toEqual(adapter);
    }
    expect(noStrength(half, [job({ useDora: false, loraModulesToSave: [] })])).toBeNull();
  });
});
