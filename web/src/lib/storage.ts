/**
 * Every value that the page stores in `localStorage` and `sessionStorage`, with its version. Conversations have their
 * own database (`chat/storage/db.ts`).
 *
 * The version is part of the key: `arkor.watched` is version 1, `arkor.watched.2` would be version 2. An older page does
 * not know a newer key, so it can neither misread nor overwrite it. To change a value's form, add a migration to its entry
 * below and a fixture of the new form to `web/fixtures`.
 *
 * A browser may forbid storage: then a choice applies to this page only.
 */
import type { RequestedParent } from "../contract.gen";
import { isObject } from "./json";

/** `tab`: for this tab only, until it is closed. */
type Reach = "browser" | "tab";

export interface StoredValue<T> {
  name: string;
  reach: Reach;
  /** The value while nothing is stored. */
  fallback: T;
  /** Parses the newest form. Throws if nothing is readable, and calls `damaged` if only part of it is. */
  parse: (text: string, damaged: () => void) => T;
  format: (value: T) => string;
  /** The first migrates version 1 to version 2, the next that to version 3. */
  migrations: readonly ((text: string) => string)[];
}

type Versioned = Pick<StoredValue<unknown>, "name" | "migrations">;

const versionOf = ({ migrations }: Versioned): number => migrations.length + 1;

export const keyOf = (value: Versioned, version = versionOf(value)): string =>
  version === 1 ? value.name : `${value.name}.${version}`;

/** The stored value; an older form is migrated, and an unreadable one is kept under another key. */
export function readStored<T>(value: StoredValue<T>, fallback: T = value.fallback): T {
  const { reach, migrations, parse } = value;
  const newest = versionOf(value);
  for (let version = newest; version > 0; version -= 1) {
    const key = keyOf(value, version);
    const text = recall(key, reach);
    if (text === null) continue;
    // The next write overwrites the text, which may be the only copy of a person's work.
    const putAside = (): void => void remember(`${key}.unreadable`, text, reach);
    try {
      const migrated = migrations.slice(version - 1).reduce((old, migrate) => migrate(old), text);
      const result = parse(migrated, putAside);
      if (version < newest && remember(keyOf(value), migrated, reach)) remember(key, null, reach);
      return result;
    } catch {
      putAside();
    }
  }
  return fallback;
}

/** Stores a value, or removes it if null. Returns whether it will survive a reload. */
export function writeStored<T>(value: StoredValue<T>, next: T | null): boolean {
  return remember(keyOf(value), next === null ? null : value.format(next), value.reach);
}

/** Calls `changed` when another tab stores the value. */
export function onStored<T>(value: StoredValue<T>, changed: (next: T) => void): void {
  addEventListener("storage", ({ key }) => {
    if (key === keyOf(value)) changed(readStored(value));
  });
}

export const THEME = choice("arkor.theme", ["system", "light", "dark"]);
export const SINGLE_KEYS = choice("arkor.keys", ["on", "off"]);
/** The last backend notice that was dismissed. */
export const DISMISSED_NOTICE = text("arkor.notice", "browser");
/** The ids of the jobs whose end is to be announced. */
export const WATCHED_JOBS = list("arkor.watched", (item) => typeof item === "string");
/** The columns of the jobs table that were chosen, and after a `-` those that were removed. */
export const JOB_COLUMNS = list("arkor.jobs.columns", (item) => typeof item === "string");
export const PRESETS = list("arkor.playground.presets", isNamed);
/** Conversations not yet in the database when their page was closed. */
export const UNSAVED_CONVERSATIONS = list<object>("arkor.unsaved", isObject);
/** Defaults of a new conversation: sampling parameters and system prompt. */
export const CHAT_SETTINGS: StoredValue<ChatSettings> = {
  name: "arkor.playground.way",
  reach: "tab",
  fallback: { params: {}, system: "" },
  parse: (stored) => {
    const [params, system] = JSON.parse(stored) as [unknown, unknown];
    if (!isObject(params) || typeof system !== "string") throw new TypeError("no chat settings");
    return { params, system };
  },
  format: ({ params, system }) => JSON.stringify([params, system]),
  migrations: [],
};
/** The draft of a message. */
export const DRAFT = text("arkor.playground.draft", "tab");
/** Settings changed on Home and not yet written, by trainer. */
export const TRAINER_DRAFTS: StoredValue<TrainerDrafts> = {
  name: "arkor.home.settings",
  reach: "tab",
  fallback: {},
  parse: (stored, damaged) => {
    const drafts: unknown = JSON.parse(stored);
    if (!isObject(drafts)) throw new TypeError("no drafts");
    const valid = Object.entries(drafts).filter(([, draft]) => isObject(draft) && isObject(draft.changes));
    if (valid.length < Object.keys(drafts).length) damaged();
    return Object.fromEntries(valid) as TrainerDrafts;
  },
  format: JSON.stringify,
  migrations: [],
};
/** The backend's optional features, as last reported to this tab. */
export const FEATURES: StoredValue<readonly string[]> = {
  name: "arkor.features",
  reach: "tab",
  fallback: [],
  parse: (stored) => stored.split(" ").filter(Boolean),
  format: (features) => features.join(" "),
  migrations: [],
};

export const STORED_VALUES = [
  THEME,
  SINGLE_KEYS,
  DISMISSED_NOTICE,
  WATCHED_JOBS,
  JOB_COLUMNS,
  PRESETS,
  UNSAVED_CONVERSATIONS,
  CHAT_SETTINGS,
  DRAFT,
  TRAINER_DRAFTS,
  FEATURES,
] as const;

/** `changes` by field, null for a removed setting; `from` is the job that they were copied from. */
export interface TrainerDraft {
  changes: Readonly<Record<string, unknown>>;
  from?: string | undefined;
  /** The checkpoint that the next training starts from. */
  parent?: RequestedParent | undefined;
  project?: string | undefined;
}

type TrainerDrafts = Readonly<Record<string, TrainerDraft>>;

interface ChatSettings {
  params: object;
  system: string;
}

/** One of several words; the first is the default. */
function choice<T extends string>(name: string, words: readonly [T, ...T[]]): StoredValue<T> {
  const [fallback] = words;
  const parse = (stored: string): T => {
    const word = words.find((known) => known === stored);
    if (word === undefined) throw new TypeError(`${name} is none of ${words.join()}`);
    return word;
  };
  return { name, reach: "browser", fallback, parse, format: (word) => word, migrations: [] };
}

function text(name: string, reach: Reach): StoredValue<string> {
  return { name, reach, fallback: "", parse: (stored) => stored, format: (next) => next, migrations: [] };
}

/** A JSON list of the readable items. */
function list<T>(name: string, isItem: (item: unknown) => item is T): StoredValue<readonly T[]> {
  const parse = (stored: string, damaged: () => void): readonly T[] => {
    const items: unknown = JSON.parse(stored);
    if (!Array.isArray(items)) throw new TypeError(`${name} is not a list`);
    if (!items.every(isItem)) damaged();
    return items.filter(isItem);
  };
  return { name, reach: "browser", fallback: [], parse, format: JSON.stringify, migrations: [] };
}

function isNamed(value: unknown): value is { name: string; params?: unknown; system?: unknown } {
  return isObject(value) && typeof value.name === "string" && value.name.trim() !== "";
}

function storage(reach: Reach): Storage {
  return reach === "tab" ? sessionStorage : localStorage;
}

function recall(key: string, reach: Reach): string | null {
  try {
    return storage(reach).getItem(key);
  } catch {
    return null;
  }
}

/** Whether it will survive a reload. */
function remember(key: string, value: string | null, reach: Reach): boolean {
  try {
    if (value === null) storage(reach).removeItem(key);
    else storage(reach).setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
