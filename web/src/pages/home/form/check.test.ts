import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FORM } from "../../../form.gen";
import { conflictsIn, ofMethod, problemOf, settingsFor } from "./check";
import { textOf, valueIn } from "./text";

/** Values and configs with what Python says of them: `scripts/generate.py` writes it. */
const PROBES = JSON.parse(
  readFileSync(new URL("../../../../fixtures/settings.json", import.meta.url), "utf8"),
) as { rules: Record<string, [unknown, boolean][]>; conflicts: [Record<string, unknown>, string[]][] };

describe("the rules of the table", () => {
  it("have a fixture for each setting", () => {
    expect(Object.keys(PROBES.rules)).toEqual(FORM.map(({ field }) => field));
  });

  it.each(FORM)("$field is checked as Python does", (setting) => {
    const probes = PROBES.rules[setting.field]!;
    expect(probes.filter(([value, allowed]) => setting.fits(value) !== allowed)).toEqual([]);
  });

  it("say which settings do not go together, as Python does", () => {
    const conflicts = PROBES.conflicts.map(([config]) => [config, [...conflictsIn(config).keys()]]);
    expect(conflicts).toEqual(PROBES.conflicts.map(([config, fields]) => [config, [...new Set(fields)]]));
    expect(conflicts.filter(([, fields]) => fields!.length === 0).length).toBeGreaterThan(5);
  });

  it("are left behind with the method that has them", () => {
    const taught = { loraR: 8, replay: 0.2, packing: true, method: "kto" };
    expect([...conflictsIn(taught).keys()]).toContain("replay");
    expect([...conflictsIn(ofMethod(taught)).keys()]).toEqual([]);
    expect(ofMethod(taught)).toMatchObject({ loraR: 8, method: "kto" });
    expect(ofMethod({ ...taught, method: "sft" })).toEqual({ ...taught, method: "sft" });
  });

  it("name them as the form does", () => {
    expect(conflictsIn({ lrPower: 2 }).get("lrPower")).toBe(
      'Polynomial power applies only when LR scheduler is "polynomial". Set that, or remove Polynomial power.',
    );
  });
});

describe("the settings in a form", () => {
  const methods = ["sft", "dpo"].map((name) => ({ name, label: name.toUpperCase() }));
  const own = { ...FORM.find(({ field }) => field === "adamBeta1")!, methods: ["dpo"] };
  const fieldsFor = (config: object, announced = methods) =>
    settingsFor(config as Record<string, unknown>, announced, [
      ...FORM.filter((setting) => setting.field !== own.field),
      own,
    ]);
  const fields = (...given: Parameters<typeof fieldsFor>) => fieldsFor(...given).map(({ field }) => field);

  it("are those of its training method, and what is set", () => {
    expect(fields({})).not.toContain(own.field);
    expect(fields({ method: "dpo" })).toContain(own.field);
    expect(fields({ method: "sft", adamBeta1: 0.5 })).toContain(own.field);
  });

  it("have the rules and defaults of their method", () => {
    const loss = (method: string) => settingsFor({ method }, []).find(({ field }) => field === "lossType")!;
    expect(loss("dpo")).toMatchObject({ default: "sigmoid" });
    expect(loss("grpo")).toMatchObject({ default: "dapo", choices: ["dapo", "grpo", "bnpo", "dr_grpo"] });
    const beta = settingsFor({ method: "grpo" }, []).find(({ field }) => field === "beta")!;
    expect(problemOf(beta, 0)).toBeNull();
  });

  it("have a choice of methods where the backend announces several", () => {
    expect(fields({}, methods.slice(1))).not.toContain("method");
    expect(fieldsFor({}).find(({ field }) => field === "method")).toMatchObject({
      kind: "choice",
      choices: ["sft", "dpo"],
    });
    // What the file says is shown whatever is announced.
    expect(fields({ method: "kto" }, [])).toContain("method");
  });
});

const setting = (field: string) => FORM.find((row) => row.field === field)!;

it("says what a value must be, and that one may be left out unless it is required", () => {
  expect(problemOf(setting("loraR"), 0)).toBe("Must be a whole number from 1 to 1,024.");
  expect(problemOf(setting("loraR"), null)).toBeNull();
  expect(problemOf(setting("learningRate"), 0)).toBe("Must be a number above 0, 1 at most.");
  expect(problemOf(setting("packing"), 0)).toBe("Must be true or false.");
  expect(problemOf(setting("optim"), 0)).toContain('Must be one of "adamw", "adamw_torch"');
  expect(problemOf(setting("model"), null)).toContain("Must be a model's name or folder");
});

it.each([
  ["loraR", " 16 ", 16],
  ["loraR", "1_024", 1024],
  ["loraR", "16.5", 16.5],
  ["loraR", "", null],
  ["loraR", "many", "many"],
  ["loraR", "0x10", "0x10"],
  ["loraR", "2e", "2e"],
  ["learningRate", "2e-4", 0.0002],
  ["learningRate", ".5", 0.5],
  ["model", " a/b ", "a/b"],
  ["model", "", null],
  ["lrSchedulerType", "cosine", "cosine"],
  ["loadIn4bit", "true", true],
  ["loadIn4bit", "", null],
  ["loraTargetModules", "q_proj, v_proj,", ["q_proj", "v_proj"]],
  ["loraTargetModules", " all-linear ", "all-linear"],
  ["loraTargetModules", " , ", null],
  ["loraLayersToTransform", "0, 11,x", [0, 11, "x"]],
  ["samples", '"Hello, who are you?", Why?', ["Hello, who are you?", "Why?"]],
  ["samples", '"Hello, who', ['"Hello', "who"]],
  ["samples", "off", "off"],
])("takes %s %j as %j", (field, text, value) => {
  expect(valueIn(setting(field), text)).toEqual(value);
});

it.each([0.0002, 0.00025, 3e-9, 0.001, 0.1, 5, 10_000_000, 4_294_967_295])(
  "writes %d so that it is read again",
  (value) => {
    expect(valueIn(setting("learningRate"), textOf(value))).toBe(value);
  },
);

it("puts members of a list that have a comma or begin with a quote in quotes, so that they are read again", () => {
  const prompts = ["Hello, who are you?", 'What is "it"?', '"It", say \\'];
  expect(textOf(prompts)).toBe('"Hello, who are you?", What is "it"?, "\\"It\\", say \\\\"');
  expect(valueIn(setting("samples"), textOf(prompts))).toEqual(prompts);
});

it("writes small numbers as people do", () => {
  expect([2e-4, 2.5e-5, 0.002, 12].map(textOf)).toEqual(["2e-4", "2.5e-5", "0.002", "12"]);
  expect([null, undefined, true, "a", [0, 1]].map(textOf)).toEqual(["", "", "true", "a", "0, 1"]);
});
