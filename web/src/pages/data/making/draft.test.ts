import { describe, expect, it } from "vitest";
import type { MakingOptions } from "../../../contract.gen";
import { BASE, type Draft, draftOf, droppedWords, EMPTY, numbersOf, optionsOf } from "./draft";

const FULL: Draft = { ...EMPTY, paths: ["documents/a.md"], model: "wise" };

describe("optionsOf", () => {
  it("has only what is filled in", () => {
    expect(optionsOf({ ...FULL, tokens: " " })).toEqual({
      kind: "qa",
      teacher: "http://localhost:1234/v1",
      model: "wise",
      paths: ["documents/a.md"],
      perPassage: 3,
    });
  });

  it("names no server, key or price for the project's own model", () => {
    const draft = { ...FULL, base: true, keyEnv: "SOME_API_KEY", priceIn: "1", money: "2" };
    expect(optionsOf(draft)).toMatchObject({ teacher: BASE, model: "", budgetTokens: 100_000 });
    expect(optionsOf(draft)).not.toHaveProperty("keyEnv");
    expect(optionsOf(draft)).not.toHaveProperty("price");
  });

  it.each<[Partial<Draft>, RegExp]>([
    [{ paths: [] }, /Add documents/],
    [{ model: " " }, /Name the teacher/],
    [{ kind: "rewrite" }, /voice/],
    [{ kind: "extract", schema: "[]" }, /JSON Schema/],
    [{ each: "11" }, /1 to 10/],
    [{ tokens: "1.5" }, /not a whole number/],
    [{ money: "2" }, /needs the price/],
    [{ money: "x", priceIn: "1" }, /not a number above 0/],
    [{ priceOut: "x" }, /price is not a number/],
  ])("says what is missing: %o", (wrong, why) => {
    expect(optionsOf({ ...FULL, ...wrong })).toMatch(why);
  });

  it("comes back from what was kept", () => {
    const draft: Draft = {
      ...FULL,
      kind: "extract",
      schema: '{"type":"object"}',
      keyEnv: "SOME_API_KEY",
      money: "2.5",
      priceIn: "0.15",
      priceOut: "0.6",
    };
    const options = optionsOf(draft) as MakingOptions;
    expect(optionsOf(draftOf(options))).toEqual(options);
  });
});

describe("numbersOf", () => {
  it.each<[string, number[] | null]>([
    ["", []],
    ["9, 3-5,4", [3, 4, 5, 9]],
    ["5-3", null],
    ["0", null],
    ["1-99999", null],
    ["all", null],
  ])("reads %o", (text, numbers) => expect(numbersOf(text)).toEqual(numbers));

  it("names rows of a trainer's data instead of documents", () => {
    const draft: Draft = { ...EMPTY, kind: "variations", trainer: "bot", rows: "3,7", model: "wise" };
    const options = optionsOf(draft) as MakingOptions;
    expect(options).toMatchObject({ kind: "variations", trainer: "bot", rows: [3, 7] });
    expect(options).not.toHaveProperty("paths");
    expect(draftOf(options)).toEqual(draft);
  });
});

describe("droppedWords", () => {
  it("says why, also for what it does not know", () => {
    expect(droppedWords({ quote: 3, toString: 1 })).toBe(
      "3 with a quote that is not in the source, 1 toString",
    );
  });
});
