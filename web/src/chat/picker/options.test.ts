import { describe, expect, it } from "vitest";
import type { Job } from "../../contract.gen";
import { MAX_ROWS, optionsFor } from "./options";

const job = (n: number, name = `bot ${n}`): Job => ({
  id: `id${n}`,
  orgId: "",
  projectId: "",
  name,
  status: "completed",
  createdAt: "",
  config: { model: "hub/m", datasetSource: { type: "file" } },
});

describe("optionsFor", () => {
  it("offers models, then jobs", () => {
    expect(optionsFor("", ["hub/m"], [job(1)]).options.map((option) => option.key)).toEqual([
      "base:hub/m",
      "final:id1",
    ]);
  });

  it("finds all words anywhere in name, id, model and status", () => {
    const jobs = [job(1, "Support Bot"), job(2, "haiku")];
    expect(optionsFor("bot support", [], jobs).options.map((option) => option.key)).toEqual([
      "base:bot support",
      "final:id1",
    ]);
    expect(optionsFor("id2 completed", [], jobs).options.at(-1)?.key).toBe("final:id2");
  });

  it("offers what is typed as a model, but not one that is listed", () => {
    expect(optionsFor(" my/model ", ["hub/m"], []).options).toMatchObject([
      { target: { kind: "base", model: "my/model" } },
    ]);
    expect(optionsFor("hub/m", ["hub/m"], []).options).toHaveLength(1);
  });

  it("bounds what is drawn and says what is left", () => {
    const { options, more } = optionsFor(
      "",
      [],
      Array.from({ length: 10_000 }, (_, n) => job(n)),
    );
    expect(options).toHaveLength(MAX_ROWS);
    expect(more).toBe(10_000 - MAX_ROWS);
  });
});
