import { describe, expect, it } from "vitest";
import { historyReader } from "./history";
import {
  BUILT_IN,
  bounded,
  DEFAULT_PARAMS,
  MAX_OWN,
  ownPreset,
  presetOf,
  readOwn,
  withPreset,
} from "./model/presets";
import { idsToDelete, summarize } from "./storage/db";

const list = [
  { id: "new", title: "", updated: 3, size: 10 },
  { id: "old", title: "", updated: 1, size: 10 },
  { id: "mid", title: "", updated: 2, size: 100 },
];

describe("idsToDelete", () => {
  it("lets the oldest go until the rest fit", () => {
    expect(idsToDelete(list, "", 3, 1000)).toEqual([]);
    expect(idsToDelete(list, "", 2, 1000)).toEqual(["old"]);
    expect(idsToDelete(list, "", 3, 50)).toEqual(["old", "mid"]);
  });

  it("never lets the open one go", () => {
    expect(idsToDelete(list, "old", 1, 5)).toEqual(["mid", "new"]);
  });

  it("counts every text of a conversation", () => {
    const answer = { by: { kind: "base", model: "m" }, name: "m", text: "12345", state: "done" } as const;
    const turns = { t: { id: "t", parent: null, user: "123", answers: [answer, null], at: 1 } };
    expect(
      summarize({
        id: "c",
        created: 0,
        updated: 7,
        system: "1",
        params: DEFAULT_PARAMS,
        targets: [],
        columns: [0],
        turns,
        leaf: "t",
      }),
    ).toEqual({
      id: "c",
      title: "123",
      updated: 7,
      size: 9,
    });
  });
});

describe("historyReader", () => {
  it("finds the steps in pieces of a history, in order, once, whatever else is there", () => {
    const frames = [20, 10, 20].map(
      (step) => `event: checkpoint.saved\ndata: ${JSON.stringify({ type: "checkpoint.saved", step })}\n\n`,
    );
    const text = `${frames.join(": hi\n\n")}event: training.log\ndata: {"step":15}\n\nevent: checkpoint.saved\ndata: {"step":"x"}\n\nevent: checkpoint.saved\ndata: no\n\n`;
    const reader = historyReader();
    for (const byte of new TextEncoder().encode(text)) reader.push(Uint8Array.of(byte));
    expect(reader.read().steps).toEqual([10, 20]);
    reader.push(new TextEncoder().encode('event: checkpoint.removed\ndata: {"step":10}\n\n'));
    expect(reader.read().steps).toEqual([20]);
  });

  it("finds the prompts of a run in order, without those that something was answered before", () => {
    const before = [{ role: "assistant", content: "It sails." }];
    const prompts = [
      { number: 2, prompt: "Where?", messages: [{ role: "system", content: "s" }] },
      { number: 1, prompt: "When?", step: 0 },
      { number: 1, prompt: "When?", step: 10 },
      { number: 3, prompt: "And then?", messages: before },
      { number: "4", prompt: "What?" },
      { number: 5, prompt: 5 },
      null,
    ];
    const reader = historyReader();
    for (const prompt of prompts)
      reader.push(new TextEncoder().encode(`event: sample.created\ndata: ${JSON.stringify(prompt)}\n\n`));
    expect(reader.read()).toEqual({ steps: [], questions: ["When?", "Where?"] });
  });
});

describe("parameters", () => {
  it("stay within their bounds", () => {
    expect(bounded("temperature", 9)).toBe(2);
    expect(bounded("temperature", 0.1 + 0.2)).toBe(0.3);
    expect(bounded("topP", -1)).toBe(0.05);
    expect(bounded("maxTokens", 12.6)).toBe(13);
    expect(bounded("maxTokens", Number.NaN)).toBe(DEFAULT_PARAMS.maxTokens);
  });

  it("know their preset", () => {
    for (const preset of BUILT_IN) expect(presetOf(BUILT_IN, { ...preset.params }, "any")).toBe(preset);
    expect(presetOf(BUILT_IN, { ...DEFAULT_PARAMS, topP: 0.31 }, "")).toBeNull();
    const own = ownPreset("mine", DEFAULT_PARAMS, "Be brief.");
    expect(presetOf([...BUILT_IN, own], DEFAULT_PARAMS, "Be brief.")).toBe(own);
    expect(presetOf([...BUILT_IN, own], DEFAULT_PARAMS, "")?.name).toBe("Balanced");
  });

  it("are read back as stored, and whatever else was stored is not believed", () => {
    const own = [ownPreset(" mine ", { temperature: 1, topP: 0.5, maxTokens: 9 }, "S")];
    expect(readOwn(own)).toEqual(own);
    expect(
      readOwn([
        { name: "x", params: { temperature: 99, topP: "a" }, system: 7 },
        { name: "y", params: 3 },
      ]),
    ).toEqual([
      ownPreset("x", { ...DEFAULT_PARAMS, temperature: 2 }, ""),
      ownPreset("y", DEFAULT_PARAMS, ""),
    ]);
  });

  it("replace one of the same name and stay few", () => {
    const list = Array.from({ length: MAX_OWN }, (_, n) => ownPreset(`p${n}`, DEFAULT_PARAMS, ""));
    expect(withPreset(list, ownPreset("p3", DEFAULT_PARAMS, "new")).at(-1)?.system).toBe("new");
    expect(withPreset(list, ownPreset("p3", DEFAULT_PARAMS, "new"))).toHaveLength(MAX_OWN);
    expect(withPreset(list, ownPreset("other", DEFAULT_PARAMS, ""))[0]?.name).toBe("p1");
  });
});
