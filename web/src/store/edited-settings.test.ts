import { describe, expect, it } from "vitest";
import type { Job, JobConfig, Trainer } from "../contract.gen";
import { editedSettings } from "./edited-settings";

const config = (more: object): JobConfig =>
  ({
    model: "m",
    datasetSource: { type: "file", path: "a.jsonl" },
    learningRate: 0.001,
    ...more,
  }) as unknown as JobConfig;
const job = (more: object = {}): Job => ({ config: config(more) }) as unknown as Job;
const trainer = (more: object = {}): Trainer => ({ name: "t", config: config(more) }) as unknown as Trainer;

describe("editedSettings", () => {
  it("gives the file's new values, and null for a setting that it has no more", () => {
    const edits = editedSettings(job({ seed: 3 }), trainer({ learningRate: 0.0005 }), trainer());
    expect(edits.settings).toEqual({ learningRate: 0.0005, seed: null });
    expect(edits.changes.map(({ from, to }) => [from, to])).toEqual([
      ["0.001", "0.0005"],
      ["3", "not set"],
    ]);
    expect(edits.data).toBe(false);
  });

  it("leaves out what was changed for the job alone, a dry run, and what the backend adds", () => {
    const own = { loraR: 4, setByHand: ["loraR"], dryRun: true, adjusted: [] };
    expect(editedSettings(job(own), trainer(), trainer()).changes).toEqual([]);
  });

  it("counts other data only if the file named the first ones before", () => {
    const other = { datasetSource: { type: "file", path: "b.jsonl" } };
    expect(editedSettings(job(), trainer(other), trainer(other)).changes).toEqual([]);
    const edits = editedSettings(job(), trainer(other), trainer());
    expect(edits.data).toBe(true);
    expect(edits.changes).toHaveLength(1);
  });
});
