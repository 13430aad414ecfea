import { describe, expect, it, vi } from "vitest";
import { type JobConfig, SETTINGS } from "../contract.gen";
import { FORM } from "../form.gen";
import { configOf, datasetName, settings, shareable, summary } from "./job-config-text";

/** The table with one setting more than it has. */
vi.mock("../contract.gen", async (original) => {
  const contract = await original<typeof import("../contract.gen")>();
  const pretend = { field: "pretend", label: "Pretend", style: "interval" };
  return { ...contract, SETTINGS: [...contract.SETTINGS, pretend] };
});

const CONFIG: JobConfig = {
  model: "HuggingFaceTB/SmolLM2-135M-Instruct",
  datasetSource: { type: "file", path: "data/support.jsonl" },
  maxSteps: 40,
  loraR: 8,
};

describe("summary", () => {
  it("says what will be done in one line", () => {
    expect(summary(CONFIG, 100)).toBe("LoRA r 8 on SmolLM2-135M-Instruct · 100 examples · 40 steps");
    expect(summary(CONFIG)).toBe("LoRA r 8 on SmolLM2-135M-Instruct · data/support.jsonl · 40 steps");
  });

  it("names no adapter where the whole model learns", () => {
    expect(summary({ ...CONFIG, fullFineTuning: true })).toMatch(/^Fine-tuning SmolLM2-135M-Instruct/);
  });

  it("counts epochs where no steps are given", () => {
    const { maxSteps: _, ...rest } = CONFIG;
    expect(summary({ ...rest, numTrainEpochs: 1 }, 1)).toBe(
      "LoRA r 8 on SmolLM2-135M-Instruct · 1 example · 1 epoch",
    );
  });
});

describe("datasetName", () => {
  it.each([
    [{ type: "huggingface", name: "a/b", split: "train" }, "a/b (train)"],
    [{ type: "huggingface", name: "a/b", subset: "en", split: "train" }, "a/b (en, train)"],
    [{ type: "blob", url: "https://x/y.jsonl" }, "https://x/y.jsonl"],
    [{ type: "blob", url: "https://me:secret@x/y.jsonl?signature=secret#a" }, "https://x/y.jsonl?…"],
    [{ type: "blob" }, "blob"],
    [undefined, "–"],
  ] as const)("%j", (source, name) => expect(datasetName(source)).toBe(name));
});

describe("settings", () => {
  it("keeps a reading order and leaves nothing out", () => {
    const config = {
      newField: { deep: 1 },
      datasetSplit: 0.125,
      evalSteps: 10,
      saveSteps: 0,
      ...CONFIG,
    } as JobConfig;
    expect(settings(config).map(({ label, value }) => `${label}: ${value}`)).toEqual([
      "Base model: HuggingFaceTB/SmolLM2-135M-Instruct",
      "Data set: data/support.jsonl",
      "Steps: 40",
      "LoRA rank: 8",
      "Evaluation split: 12.5 %",
      "Evaluate every: 10 steps",
      "Save every: never",
      'newField: {"deep":1}',
    ]);
  });

  it("labels every setting of the table, a new one too", () => {
    const value = { whole: 2, number: 0.5, flag: true, choice: "a", text: "a", list: ["a", "b"] };
    const config = Object.fromEntries(
      FORM.map(({ field, kind }) => [field, value[kind] ?? 2]),
    ) as unknown as JobConfig;
    expect(settings(config).map(({ label }) => label)).toEqual(SETTINGS.map(({ label }) => label));
    expect(settings(config).at(-1)).toEqual({
      field: "pretend",
      label: "Pretend",
      value: "2 steps",
    });
  });

  it.each([
    [{ enabled: true, testSize: 0.2 }, "20 %"],
    [{ enabled: false, testSize: 0.2 }, "0"],
    [{}, "{}"],
  ])("shows how the managed backend holds rows out: %j", (datasetSplit, value) => {
    const config = { ...CONFIG, datasetSplit } as unknown as JobConfig;
    expect(settings(config).find(({ field }) => field === "datasetSplit")?.value).toBe(value);
  });

  it("takes any type a backend may send", () => {
    const odd = {
      model: 5,
      datasetSource: "text",
      maxSteps: "many",
      learningRate: {},
    } as unknown as JobConfig;
    expect(() => settings(odd)).not.toThrow();
  });
});

describe("configOf", () => {
  it("is what ran and not what was asked, and what was asked where nobody says what ran", () => {
    const config = { ...CONFIG, batchSize: 64, newField: 1 } as JobConfig;
    expect(configOf({ config })).toEqual(config);
    expect(configOf({ config, settings: { batchSize: 18, loraAlpha: 16 } })).toEqual({
      ...config,
      batchSize: 18,
      loraAlpha: 16,
    });
  });
});

describe("shareable", () => {
  it("has nothing in it that opens the data set", () => {
    const secret: JobConfig = {
      ...CONFIG,
      datasetSource: { type: "blob", url: "https://me:secret@x/y.jsonl?signature=secret", token: "secret" },
    };
    expect(shareable(secret)).toEqual({
      ...CONFIG,
      datasetSource: { type: "blob", url: "https://x/y.jsonl?…" },
    });
    expect(shareable(CONFIG)).toEqual(CONFIG);
  });

  it("has nothing in it that opens one of several data sets, or those to measure on", () => {
    const open = {
      type: "blob",
      url: "https://me:secret@x/y.jsonl?signature=secret",
      token: "secret",
    } as const;
    const closed = { type: "blob", url: "https://x/y.jsonl?…" };
    expect(
      shareable({
        ...CONFIG,
        datasetSource: { type: "list", sources: [open, open] },
        evalDatasetSource: open,
      }),
    ).toEqual({
      ...CONFIG,
      datasetSource: { type: "list", sources: [closed, closed] },
      evalDatasetSource: closed,
    });
  });

  it("bears whatever a backend sends", () => {
    for (const datasetSource of [
      undefined,
      null,
      7,
      "x",
      [],
      { url: 7 },
      { sources: [null, 7, { sources: 7 }] },
    ]) {
      expect(() =>
        JSON.stringify(shareable({ model: "m", datasetSource } as unknown as JobConfig)),
      ).not.toThrow();
    }
  });
});
