import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ownPreset, readOwn } from "../chat/model/presets";
import { isConversation } from "../chat/storage/check";
import {
  CHAT_SETTINGS,
  DISMISSED_NOTICE,
  DRAFT,
  FEATURES,
  JOB_COLUMNS,
  keyOf,
  onStored,
  PRESETS,
  readStored,
  SINGLE_KEYS,
  STORED_VALUES,
  type StoredValue,
  THEME,
  TRAINER_DRAFTS,
  UNSAVED_CONVERSATIONS,
  WATCHED_JOBS,
  writeStored,
} from "./storage";

/** What the page of each version has stored after one visit. */
const VERSION_1 = fixture(1);

function fixture(version: number): Record<"localStorage" | "sessionStorage", Record<string, string>> {
  return JSON.parse(
    readFileSync(new URL(`../../fixtures/stored-version-${version}.json`, import.meta.url), "utf8"),
  );
}

const browser = new Map<string, string>();
const tab = new Map<string, string>();

function storageOf(map: Map<string, string>): Partial<Storage> {
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, value),
    removeItem: (key) => void map.delete(key),
  };
}

beforeEach(() => {
  browser.clear();
  tab.clear();
  vi.stubGlobal("localStorage", storageOf(browser));
  vi.stubGlobal("sessionStorage", storageOf(tab));
});
afterEach(() => vi.unstubAllGlobals());

function restore({ localStorage, sessionStorage }: typeof VERSION_1): void {
  for (const [key, text] of Object.entries(localStorage)) browser.set(key, text);
  for (const [key, text] of Object.entries(sessionStorage)) tab.set(key, text);
}

describe("what version 1 stored", () => {
  beforeEach(() => restore(VERSION_1));

  it("is read", () => {
    expect(readStored(THEME)).toBe("dark");
    expect(readStored(SINGLE_KEYS)).toBe("off");
    expect(readStored(DISMISSED_NOTICE)).toBe("Use v2. It ends on 1 Mar 2027.");
    expect(readStored(WATCHED_JOBS)).toEqual(["job-3"]);
    expect(readStored(JOB_COLUMNS)).toEqual(["rate"]);
    expect(readOwn(readStored(PRESETS))).toEqual([
      ownPreset("Short", { temperature: 0.7, topP: 0.9, maxTokens: 9 }, "Be brief."),
    ]);
    expect(readStored(UNSAVED_CONVERSATIONS).map(isConversation)).toEqual([true]);
    expect(readStored(CHAT_SETTINGS)).toEqual({
      params: { temperature: 0.7, topP: 0.9, maxTokens: 512 },
      system: "Be kind.",
    });
    expect(readStored(DRAFT)).toBe("Not sent yet");
    expect(readStored(TRAINER_DRAFTS)).toEqual({
      "support-bot": { changes: { loraR: 16 }, project: "anon-org/demo" },
    });
    expect(readStored(FEATURES)).toEqual(["endpoints"]);
  });

  it("is all in the table, with a fixture for each entry", () => {
    const stored = [...browser.keys(), ...tab.keys()].sort();
    expect(STORED_VALUES.map((value) => keyOf(value, 1)).sort()).toEqual(stored);
  });

  it("is written again as it was", () => {
    for (const value of STORED_VALUES as readonly StoredValue<unknown>[])
      writeStored(value, readStored(value));
    expect(Object.fromEntries(browser)).toEqual(VERSION_1.localStorage);
    expect(Object.fromEntries(tab)).toEqual(VERSION_1.sessionStorage);
  });
});

/** A value whose form has changed twice: words, then JSON, then JSON with a count. */
const COUNTED: StoredValue<{ words: string[]; count: number }> = {
  name: "pretend",
  reach: "browser",
  fallback: { words: [], count: 0 },
  parse: (text) => {
    const { words, count } = JSON.parse(text);
    if (!Array.isArray(words)) throw new TypeError("no words");
    return { words, count };
  },
  format: JSON.stringify,
  migrations: [
    (text) => JSON.stringify(text.split(" ")),
    (text) => JSON.stringify({ words: JSON.parse(text), count: JSON.parse(text).length }),
  ],
};

describe("an older form", () => {
  it.each([
    ["pretend", "one two"],
    ["pretend.2", '["one","two"]'],
    ["pretend.3", '{"words":["one","two"],"count":2}'],
  ])("%s is migrated to the newest, once", (key, text) => {
    browser.set(key, text);
    for (let time = 0; time < 2; time += 1)
      expect(readStored(COUNTED)).toEqual({ words: ["one", "two"], count: 2 });
    expect([...browser]).toEqual([["pretend.3", '{"words":["one","two"],"count":2}']]);
  });

  it("stays where the newer one has no room", () => {
    browser.set("pretend", "one");
    vi.stubGlobal("localStorage", {
      ...storageOf(browser),
      setItem: () => {
        throw new DOMException("", "QuotaExceededError");
      },
    });
    expect(readStored(COUNTED).words).toEqual(["one"]);
    expect([...browser]).toEqual([["pretend", "one"]]);
  });

  it("is used where the newer one cannot be read, and both are kept", () => {
    browser.set("pretend", "one");
    browser.set("pretend.3", "{");
    expect(readStored(COUNTED).words).toEqual(["one"]);
    expect(browser.get("pretend.3.unreadable")).toBe("{");
    expect(readStored(COUNTED).words).toEqual(["one"]);
  });

  it("that no migration understands stays as it is", () => {
    browser.set("pretend.2", "{");
    expect(readStored(COUNTED)).toBe(COUNTED.fallback);
    writeStored(COUNTED, { words: ["new"], count: 1 });
    expect(browser.get("pretend.2")).toBe("{");
    expect(readStored(COUNTED).words).toEqual(["new"]);
  });
});

it("leaves a newer version's value alone", () => {
  restore(VERSION_1);
  const newer = STORED_VALUES.map((value) => keyOf(value, 2));
  for (const map of [browser, tab]) for (const key of newer) map.set(key, "of the future");
  for (const value of STORED_VALUES as readonly StoredValue<unknown>[]) {
    writeStored(value, readStored(value));
    writeStored(value, null);
  }
  for (const map of [browser, tab])
    expect(Object.fromEntries(map)).toEqual(Object.fromEntries(newer.map((key) => [key, "of the future"])));
});

describe("a value that cannot be read", () => {
  it.each(["{", "7", "null", "purple", "[", ""])("is the default, and %j is kept", (text) => {
    const checked = [
      THEME,
      SINGLE_KEYS,
      WATCHED_JOBS,
      PRESETS,
      UNSAVED_CONVERSATIONS,
      CHAT_SETTINGS,
    ] as readonly StoredValue<unknown>[];
    for (const value of checked) {
      const map = value.reach === "tab" ? tab : browser;
      map.set(value.name, text);
      expect(readStored(value)).toBe(value.fallback);
      writeStored(value, value.fallback);
      expect(map.get(`${value.name}.unreadable`)).toBe(text);
    }
  });

  it("keeps the items that can, and the whole text", () => {
    const text = '[null,3,{"name":" "},{"name":"x"}]';
    browser.set(PRESETS.name, text);
    expect(readStored(PRESETS)).toEqual([{ name: "x" }]);
    expect(browser.get(`${PRESETS.name}.unreadable`)).toBe(text);
  });
});

it("is the fallback, and says so, where the browser stores nothing", () => {
  vi.stubGlobal("localStorage", undefined);
  expect(readStored(THEME)).toBe("system");
  expect(writeStored(THEME, "dark")).toBe(false);
});

it("tells what another tab has stored", () => {
  const page = new EventTarget();
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  const notices: string[] = [];
  onStored(THEME, (theme) => notices.push(theme));
  browser.set(keyOf(THEME), "light");
  for (const key of [keyOf(THEME), keyOf(DRAFT), `${keyOf(THEME)}.2`])
    page.dispatchEvent(Object.assign(new Event("storage"), { key }));
  expect(notices).toEqual(["light"]);
});

it.each([
  [{}, undefined],
  [{ [keyOf(THEME)]: "dark", "arkor-studio-theme": "light" }, "dark"],
  [{ [keyOf(THEME)]: "system", "arkor-studio-theme": "light" }, undefined],
  [{ "arkor-studio-theme": "light" }, "light"],
  [{ "arkor-studio-theme": "url(x)" }, undefined],
])("has the theme before the first paint, be it that of `arkor dev`: %j", (stored, theme) => {
  const dataset: DOMStringMap = {};
  vi.stubGlobal("location", { hash: "" });
  vi.stubGlobal("document", { documentElement: { dataset } });
  for (const [key, value] of Object.entries(stored)) browser.set(key, value);
  const boot = readFileSync(new URL("../boot.js", import.meta.url), "utf8");
  new Function("__CHUNKS__", boot)({});
  expect(dataset.theme).toBe(theme);
});
