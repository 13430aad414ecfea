import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Conversation } from "../model/types";

const db = {
  store: vi.fn(),
  listStored: vi.fn(async () => []),
  load: vi.fn(async () => undefined),
  remove: vi.fn(),
};
vi.mock("./db", async (original) => ({ ...(await original<typeof import("./db")>()), ...db }));

let disk: Map<string, string>;
let page: EventTarget;

beforeEach(() => {
  disk = new Map();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => disk.get(key) ?? null,
    setItem: (key: string, value: string) => disk.set(key, value),
    removeItem: (key: string) => disk.delete(key),
  });
});

afterEach(() => vi.unstubAllGlobals());

/** The conversations of a page that was just loaded. */
async function load(): Promise<typeof import("./conversations")> {
  page = new EventTarget();
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.resetModules();
  return import("./conversations");
}

function conversation(
  conversations: typeof import("./conversations"),
  state: "done" | "failed" | "streaming",
): Conversation {
  const target = { kind: "base", model: "tiny" } as const;
  const answers = [{ by: target, name: "tiny", text: "Ho", state }];
  const turn = { id: "t", parent: null, user: "Hi?", answers, at: 1 };
  return {
    ...conversations.newConversation([target], { temperature: 0, topP: 1, maxTokens: 9 }, ""),
    id: "c",
    leaf: "t",
    turns: { t: turn },
  };
}

test("an answer that was not stored yet outlives the page", async () => {
  db.store.mockReturnValue(new Promise(() => {}));
  const before = await load();
  before.changeCurrent(conversation(before, "done"));
  page.dispatchEvent(new Event("pagehide"));
  db.store.mockResolvedValue(undefined);
  const after = await load();
  expect(after.summaries.value.map(({ id }) => id)).toEqual(["c"]);
  expect(await after.openConversation("c")).toBe(true);
  expect(after.current.value.turns.t?.answers[0]).toMatchObject({ text: "Ho", state: "done" });
  expect(db.store).toHaveBeenLastCalledWith(expect.objectContaining({ id: "c" }));
  expect(disk.size).toBe(0);
});

test("one that was still coming is cut", async () => {
  db.store.mockReturnValue(new Promise(() => {}));
  const before = await load();
  before.changeCurrent(conversation(before, "streaming"));
  page.dispatchEvent(new Event("beforeunload"));
  before.changeCurrent(conversation(before, "failed")); // its request was aborted by leaving the page
  page.dispatchEvent(new Event("pagehide"));
  const after = await load();
  await after.openConversation("c");
  expect(after.current.value.turns.t?.answers[0]).toMatchObject({ text: "Ho", state: "cut" });
});

test("what is stored is not noted down, nor what a page that comes back still writes", async () => {
  db.store.mockResolvedValue(undefined);
  const stored = await load();
  stored.changeCurrent(conversation(stored, "done"));
  await vi.waitFor(() => expect(db.store).toHaveBeenCalled());
  await Promise.resolve();
  page.dispatchEvent(new Event("pagehide"));
  expect(disk.size).toBe(0);
  db.store.mockReturnValue(new Promise(() => {}));
  const away = await load();
  away.changeCurrent(conversation(away, "done"));
  page.dispatchEvent(new Event("pagehide"));
  expect(disk.size).toBe(1);
  page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  expect(disk.size).toBe(0);
});

test("what was asked in another project at the same address is not listed in this one", async () => {
  db.store.mockResolvedValue(undefined);
  const conversations = await load();
  const { credentials, project } = await import("../../store/credentials");
  credentials.value = { mode: "anon", orgSlug: "o", projectSlug: "here", baseUrl: "", token: "" };
  for (const [id, where] of [
    ["here", project.value],
    ["there", "o/there"],
    ["old", undefined],
  ] as const) {
    conversations.changeCurrent({ ...conversation(conversations, "done"), id, project: where });
  }
  expect(conversations.summaries.value.map(({ id }) => id).sort()).toEqual(["here", "old"]);
  credentials.value = { ...credentials.value, projectSlug: null };
  expect(conversations.summaries.value).toHaveLength(3);
});

test("nonsense in the storage is nothing", async () => {
  for (const text of ["{", "7", '[1, null, {"id": 3}]']) {
    disk.set("arkor.unsaved", text);
    expect((await load()).summaries.value).toEqual([]);
  }
});
