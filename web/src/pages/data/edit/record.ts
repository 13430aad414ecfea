/** A row's record as fields that a person edits, and back. Pure. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
// biome-ignore lint/style/useConsistentTypeDefinitions: an interface would not be a Json
export type Fields = { [key: string]: Json };

export type Field =
  | { kind: "text"; name: string; label: string }
  | { kind: "messages"; name: string; label: string; roleKey: string; contentKey: string }
  /** Anything else, as JSON. */
  | { kind: "json"; name: string; label: string };

export type MessagesField = Extract<Field, { kind: "messages" }>;

/** The keys of rows that are learned from, in the order in which they are read. */
const KNOWN = [
  "system", "messages", "conversations", "prompt", "instruction", "input", "completion", "output", "chosen", "rejected",
  "text", "tools",
] as const; // biome-ignore format: one list

const isFields = (value: Json | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A list that is written as JSON text, as in a table's cell. */
function unwrapped(value: Json | undefined): Json | undefined {
  if (typeof value !== "string" || !/^\s*\[/.test(value)) return value;
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}

function messagesOf(value: Json | undefined): Fields[] | null {
  const list = unwrapped(value);
  if (!Array.isArray(list) || list.length === 0) return null;
  const haveRoles = list.every((message) => isFields(message) && ("role" in message || "from" in message));
  return haveRoles ? (list as Fields[]) : null;
}

/** The fields of a record, learned ones first; `columns` maps our keys to the record's. */
export function fieldsOf(
  record: Fields,
  columns: Readonly<Record<string, string>>,
): { main: Field[]; other: Field[] } {
  const main: Field[] = [];
  const names = new Set<string>();
  for (const ours of KNOWN) {
    const name = columns[ours] ?? ours;
    const value = record[name];
    if (value === undefined || value === null || names.has(name)) continue;
    names.add(name);
    main.push(fieldOf(name, columns[ours] === undefined ? ours : `${name} (${ours})`, value));
  }
  const other = Object.keys(record)
    .filter((name) => !names.has(name))
    .map((name) => fieldOf(name, name, record[name] ?? null));
  return { main, other };
}

function fieldOf(name: string, label: string, value: Json): Field {
  const messages = messagesOf(value);
  if (messages) {
    const [first] = messages;
    const sharegpt = first !== undefined && "from" in first && !("role" in first);
    return {
      kind: "messages",
      name,
      label,
      roleKey: sharegpt ? "from" : "role",
      contentKey: sharegpt ? "value" : "content",
    };
  }
  return { kind: typeof value === "string" ? "text" : "json", name, label };
}

/** The messages of a field, even if a table's cell holds them as text. */
export const listOf = (record: Fields, field: Field): Fields[] => messagesOf(record[field.name]) ?? [];

/** A record with a new value; everything else and the order of keys stay. */
export const withValue = (record: Fields, name: string, value: Json): Fields => ({
  ...record,
  [name]: value,
});

/** A message with a field set to a value, or removed for `undefined`. */
export function withPart(message: Fields, name: string, value: Json | undefined): Fields {
  if (value !== undefined) return { ...message, [name]: value };
  const { [name]: _, ...rest } = message;
  return rest;
}

const ANSWERS = new Set(["assistant", "gpt", "model", "chatgpt", "bot"]);

/** The role that usually follows, spelled as in this list. */
export function nextRole(messages: readonly Fields[], at: number, roleKey: string): string {
  const before = messages[at]?.[roleKey];
  const [user, assistant] = roleKey === "from" ? ["human", "gpt"] : ["user", "assistant"];
  return typeof before === "string" && ANSWERS.has(before)
    ? user!
    : before === undefined
      ? user!
      : assistant!;
}

/** The same shape with empty texts: a new row like this one. The system prompt stays. */
export function emptied(record: Fields, columns: Readonly<Record<string, string>>): Fields {
  const empty = { ...record };
  for (const field of fieldsOf(record, columns).main) {
    if (field.kind === "text" && field.label !== "system") empty[field.name] = "";
    if (field.kind !== "messages") continue;
    const list = listOf(record, field);
    const system = list.filter((message) => message[field.roleKey] === "system").slice(0, 1);
    const [user, assistant] = field.roleKey === "from" ? ["human", "gpt"] : ["user", "assistant"];
    empty[field.name] = [
      ...system,
      { [field.roleKey]: user!, [field.contentKey]: "" },
      { [field.roleKey]: assistant!, [field.contentKey]: "" },
    ];
  }
  return empty;
}

/** Roles to choose from: those of chat templates, and what the message has. */
export function rolesFor(roleKey: string, current: Json | undefined): string[] {
  const usual =
    roleKey === "from" ? ["system", "human", "gpt", "tool"] : ["system", "user", "assistant", "tool"];
  return typeof current === "string" && !usual.includes(current) ? [...usual, current] : usual;
}

const isSystem = (message: Fields | undefined, roleKey: string): boolean => message?.[roleKey] === "system";

/** The conversation of a record, if it has one. */
export function conversationOf(
  record: Fields,
  columns: Readonly<Record<string, string>>,
): MessagesField | undefined {
  const lists = fieldsOf(record, columns).main.filter((field) => field.kind === "messages");
  // Two lists are a prompt and its answers: they don't continue each other.
  return lists.length === 1 ? lists[0] : undefined;
}

/** Whether a row can be split before its message `at`. */
export const canSplit = (list: readonly Fields[], roleKey: string, at: number): boolean =>
  at > (isSystem(list[0], roleKey) ? 1 : 0);

/** Two records: the messages before `at`, and those from it on; each has the system prompt. */
export function split(record: Fields, field: MessagesField, at: number): [Fields, Fields] {
  const list = listOf(record, field);
  const system = isSystem(list[0], field.roleKey) ? list.slice(0, 1) : [];
  return [
    { ...record, [field.name]: list.slice(0, at) },
    { ...record, [field.name]: [...system, ...list.slice(at)] },
  ];
}

/** A record with both's messages or texts; null if incompatible. Other values are the first's. */
export function merged(
  record: Fields,
  next: Fields,
  columns: Readonly<Record<string, string>>,
): Fields | null {
  const [one, other] = [conversationOf(record, columns), conversationOf(next, columns)];
  if (one && other && one.name === other.name && one.roleKey === other.roleKey) {
    const [before, after] = [listOf(record, one), listOf(next, other)];
    // The same system prompt is not repeated; a different one can't be in the middle.
    const [system] = after;
    const repeated = isSystem(system, one.roleKey);
    if (repeated && JSON.stringify(system) !== JSON.stringify(before[0])) return null;
    return { ...record, [one.name]: [...before, ...after.slice(repeated ? 1 : 0)] };
  }
  const name = columns.text ?? "text";
  const [text, more] = [record[name], next[name]];
  if (typeof text !== "string" || typeof more !== "string") return null;
  return { ...record, [name]: `${text}\n\n${more}` };
}
