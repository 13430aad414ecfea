import { expect, test } from "vitest";
import type { JobConfig } from "../../../contract.gen";
import { usage } from "./usage";

const line = (config: Partial<JobConfig>): string | undefined =>
  usage("adapter", config).find(([program]) => program === "vLLM")?.[1];

test("vLLM is told of a rank that it does not take unasked", () => {
  expect(line({})).toBe("vllm serve BASE --enable-lora --lora-modules NAME=FOLDER");
  expect(line({ loraR: 16 })).not.toContain("rank");
  expect(line({ loraR: 17 })).toContain(" --max-lora-rank 32 ");
  expect(line({ loraR: 400 })).toContain(" --max-lora-rank 512 ");
});

test.each([
  { loraR: 513 },
  { useDora: true },
  { initLoraWeights: "pissa_niter_16" },
  { initLoraWeights: "olora" },
  { loraModulesToSave: ["lm_head"] },
] as Partial<JobConfig>[])("an adapter that vLLM refuses has no line for it: %j", (config) => {
  expect(line(config)).toBeUndefined();
});
