/** Sanitises untrusted text from models, children and backends: bounded, and unable to reorder its neighbours. */

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
// Directional overrides and isolates change how neighbouring words read; marks (200e, 200f, 061c) cannot.
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g;
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;

/** Cuts at `max` UTF-16 units without splitting a pair, and appends an ellipsis. */
export function bounded(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  const end = last >= 0xd800 && last <= 0xdbff ? max - 1 : max;
  return `${text.slice(0, end)}…`;
}

/** One line of untrusted text: without escape sequences, controls and direction overrides, at most `max` long. */
export function clean(text: unknown, max = 300): string {
  const raw = typeof text === "string" ? text : text === null || text === undefined ? "" : String(text);
  // Only the beginning is read, so that ten megabytes cost no more than a line.
  const head = raw.length > max * 4 ? raw.slice(0, max * 4) : raw;
  const plain = head
    .replace(ESCAPES, "")
    .replace(/[\n\r\t]+/g, " ")
    .replace(CONTROL, "")
    .replace(BIDI, "");
  return head.length < raw.length && plain.length <= max ? `${plain}…` : bounded(plain, max);
}

/** Untrusted text of several lines: like `clean`, but keeps newlines and tabs. */
export function cleanBlock(text: string, max = 20_000): string {
  const plain = text
    .slice(0, max * 2)
    .replace(ESCAPES, "")
    .replace(CONTROL, "")
    .replace(BIDI, "");
  return bounded(plain, max);
}

/** A job's or trainer's name for use in a sentence; never empty. */
export function displayName(name: unknown): string {
  return clean(name, 200).trim() || "(no name)";
}
