import { describe, expect, it } from "vitest";
import { type AnswerForm, boundedFigure, moreOf, sentOf, stopsOf, toolsOf, wordsOf } from "./more";

describe("more settings", () => {
  it("are what is not the usual, within bounds, whatever was stored", () => {
    expect(moreOf(undefined)).toEqual({});
    expect(moreOf({ topK: 0, minP: 0, repetitionPenalty: 1, seed: null, stop: [] })).toEqual({});
    expect(
      moreOf({
        topK: 40.4,
        minP: 7,
        repetitionPenalty: "2",
        frequencyPenalty: -9,
        seed: 3,
        stop: ["a", 5, ""],
      }),
    ).toEqual({ topK: 40, minP: 1, frequencyPenalty: -2, seed: 3, stop: ["a"] });
    expect(moreOf({ seed: 1.5, stop: "a", presencePenalty: Number.NaN })).toEqual({});
  });

  it("have no more stop texts than a backend takes", () => {
    expect(stopsOf("###\n\n two ")).toEqual(["###", " two "]);
    expect(stopsOf("x\n".repeat(30))).toHaveLength(16);
    expect(stopsOf("y".repeat(300))[0]).toHaveLength(200);
  });

  it("have tools that are OpenAI's, and send them to a backend that has them", () => {
    const tools = [{ type: "function", function: { name: "f" } }];
    expect(moreOf({ tools })).toEqual({ tools });
    for (const wrong of [[], {}, [5], [{ function: {} }], Array.from({ length: 65 }, () => tools[0])])
      expect(toolsOf(wrong)).toBeNull();
    expect(sentOf({ tools, seed: 1 }, new Set(["sampling", "tools"]))).toEqual({ tools, seed: 1 });
    expect(sentOf({ tools, seed: 1 }, new Set(["sampling"]))).toEqual({ seed: 1 });
    expect(sentOf({ tools, seed: 1 }, new Set(["tools"]))).toEqual({});
    expect(wordsOf({ tools })).toEqual(["1 tool"]);
  });

  it("have a form of the answer, which is sent where the backend has the feature, and then no tools", () => {
    const schema = { type: "object" };
    const form = { type: "json_schema", json_schema: { name: "answer", schema } };
    const tools = [{ type: "function", function: { name: "f" } }];
    expect(moreOf({ responseFormat: form })).toEqual({ responseFormat: form });
    for (const wrong of [
      5,
      {},
      { type: "text" },
      { type: "json_schema" },
      { ...form, json_schema: { schema: 5 } },
    ])
      expect(moreOf({ responseFormat: wrong })).toEqual({});
    const set = { responseFormat: form, tools, seed: 1 };
    expect(sentOf(set, new Set(["sampling", "tools", "formats"]))).toEqual({ responseFormat: form, seed: 1 });
    expect(sentOf(set, new Set(["sampling", "tools"]))).toEqual({ tools, seed: 1 });
    expect(sentOf(set, new Set(["formats"]))).toEqual({ responseFormat: form });
    expect(wordsOf({ responseFormat: { type: "json_object" } })).toEqual(["JSON"]);
    expect(wordsOf({ seed: 7, responseFormat: form as AnswerForm })).toEqual(["Seed 7", "JSON schema"]);
  });

  it("are told in words", () => {
    expect(wordsOf({ topK: 40, seed: 7, stop: ["END"] })).toEqual(["Top-k 40", "Seed 7", "Stops at “END”"]);
    expect(boundedFigure("presencePenalty", 0.1 + 0.2)).toBe(0.3);
  });
});
