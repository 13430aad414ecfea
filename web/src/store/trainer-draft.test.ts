import { beforeEach, expect, it, vi } from "vitest";
import type { JobConfig, Trainer } from "../contract.gen";

const tab = new Map<string, string>();

/** The store as a page has it that has just been loaded. */
async function loaded(): Promise<typeof import("./trainer-draft")> {
  vi.resetModules();
  return import("./trainer-draft");
}

const trainer = (config: object): Trainer =>
  ({ name: "a", config: { model: "m", datasetSource: { type: "file", path: "d" }, ...config } }) as Trainer;
const FILE = trainer({ maxSteps: 40, loraR: 8 });

beforeEach(() => {
  tab.clear();
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => tab.get(key) ?? null,
    setItem: (key: string, value: string) => void tab.set(key, value),
    removeItem: (key: string) => void tab.delete(key),
  });
  return () => vi.unstubAllGlobals();
});

it("keeps what differs from the file over a reload, and nothing else", async () => {
  const before = await loaded();
  before.applySettings(FILE, { loraR: 16, seed: 1 });
  before.applySettings(FILE, { seed: null, maxSteps: 40 });
  const { changesFor, drafted } = await loaded();
  expect(changesFor(FILE)).toEqual({ loraR: 16 });
  expect(drafted(FILE).config).toEqual({ ...FILE.config, loraR: 16 });
  expect(changesFor({ ...FILE, name: "b" })).toEqual({});
  // The file was edited meanwhile, to the same value.
  expect(changesFor(trainer({ maxSteps: 40, loraR: 16 }))).toEqual({});
});

it("lets steps take the place of epochs and the other way round, and undoes both at once", async () => {
  const { applySettings, changesFor, drafted, undoSetting } = await loaded();
  applySettings(FILE, { numTrainEpochs: 2 });
  expect(changesFor(FILE)).toEqual({ maxSteps: null, numTrainEpochs: 2 });
  expect(drafted(FILE).config).not.toHaveProperty("maxSteps");
  applySettings(FILE, { maxSteps: 9 });
  expect(changesFor(FILE)).toEqual({ maxSteps: 9 });
  applySettings(FILE, { numTrainEpochs: 3, loraR: 4 });
  undoSetting(FILE, "numTrainEpochs");
  expect(changesFor(FILE)).toEqual({ loraR: 4 });
  expect(drafted(FILE)).toEqual(trainer({ maxSteps: 40, loraR: 4 }));
});

it("is the trainer itself where nothing is changed", async () => {
  const { applySettings, drafted, dropDraft } = await loaded();
  applySettings(FILE, { loraR: 4 });
  dropDraft(FILE);
  expect(drafted(FILE)).toBe(FILE);
  expect([...tab.values()]).toEqual(["{}"]);
});

it("belongs to the project in which it was begun", async () => {
  const { applySettings, changesFor } = await loaded();
  const { credentials } = await import("./credentials");
  const of = (projectSlug: string) => ({ orgSlug: "o", projectSlug }) as typeof credentials.value;
  credentials.value = of("one");
  applySettings(FILE, { loraR: 4 });
  credentials.value = of("two");
  expect(changesFor(FILE)).toEqual({});
  credentials.value = of("one");
  expect(changesFor(FILE)).toEqual({ loraR: 4 });
});

it("is filled from a job: what the job had and the file has not, and the other way round", async () => {
  const { changesFor, draftedFrom, fillFrom } = await loaded();
  const { config } = trainer({ loraR: 8, seed: 3, setByHand: ["seed"] });
  fillFrom(FILE, { id: "job-1", config: config! }, ["model", "maxSteps", "loraR", "seed"]);
  expect(changesFor(FILE)).toEqual({ maxSteps: null, seed: 3 });
  expect(draftedFrom(FILE)).toBe("job-1");
});

it("keeps the checkpoint to start from, also without a change, until it is taken back", async () => {
  const before = await loaded();
  const { config } = FILE;
  const parent = { jobId: "job-1", step: 20 };
  before.fillFrom(FILE, { id: "job-1", config: config! }, ["maxSteps", "loraR"], parent);
  expect(before.draftRequest(FILE)).toEqual({ parent });
  const store = await loaded();
  expect(store.draftParent(FILE)).toEqual(parent);
  store.applySettings(FILE, { loraR: 16 });
  store.undoSetting(FILE, "loraR");
  store.applySettings(FILE, { seed: 3 });
  expect(store.draftRequest(FILE, { skipBadRows: true })).toEqual({
    settings: { seed: 3, skipBadRows: true },
    parent,
  });
  store.dropParent(FILE);
  expect([store.draftParent(FILE), store.draftRequest(FILE), store.draftedFrom(FILE)]).toEqual([
    undefined,
    { settings: { seed: 3 } },
    "job-1",
  ]);
  store.fillFrom(FILE, { id: "job-1", config: config! }, ["maxSteps"], parent);
  store.dropDraft(FILE);
  expect([store.draftRequest(FILE), store.drafted(FILE)]).toEqual([{}, FILE]);
});

it("sends other data as files of the project, and no other set to evaluate on", async () => {
  const { changesFor, drafted, draftRequest, fillFrom, hasOtherData } = await loaded();
  const sources = ["data/a.jsonl", "data/b.jsonl"].map((path) => ({ type: "file", path }) as const);
  const config = { ...FILE.config!, method: "dpo", datasetSource: { type: "list", sources } } as JobConfig;
  expect(hasOtherData(FILE)).toBe(false);
  fillFrom(FILE, { id: undefined, config }, ["method", "datasetSource", "evalDatasetSource"]);
  expect(Object.keys(changesFor(FILE))).toEqual(["method", "datasetSource"]);
  expect(hasOtherData(FILE)).toBe(true);
  expect(draftRequest(FILE)).toEqual({ settings: { method: "dpo" }, data: ["data/a.jsonl", "data/b.jsonl"] });
  // The rows were counted in the file's data set.
  expect(Object.keys(drafted({ ...FILE, rows: 102, unreadable: 1 }))).toEqual(["name", "config"]);
});

it("knows no trainer that is called like something every object has", async () => {
  const { applySettings, changesFor, drafted } = await loaded();
  const odd = { ...FILE, name: "__proto__" };
  expect([changesFor(odd), changesFor({ ...FILE, name: "constructor" })]).toEqual([{}, {}]);
  applySettings(odd, { loraR: 4 });
  expect(drafted(odd).config).toEqual({ ...FILE.config, loraR: 4 });
  expect(drafted(FILE)).toBe(FILE);
});
