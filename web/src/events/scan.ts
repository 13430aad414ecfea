/**
 * Reads the numbers of one flat JSON object straight from bytes.
 *
 * `training.log` is nearly all of a job's history, and the page needs only a few numbers of it: a scan makes neither
 * strings nor objects and takes a third of the time of `JSON.parse`. Whatever is not plainly flat and valid (nesting,
 * escapes, odd tokens) is left to the caller's `JSON.parse`. `NaN` and `Infinity`, which Python writes although they
 * are not JSON, are read as numbers: such a row is a gap, not invalid.
 */
import { HIGH_DIGITS, LOW_DIGITS, toDouble } from "./decimal";
import { parseTime } from "./time";

export const STEP = 0;
export const LOSS = 1;
export const EVAL_LOSS = 2;
export const LEARNING_RATE = 3;
export const EPOCH = 4;
export const TOKENS_PER_SECOND = 5;
export const SAMPLES_PER_SECOND = 6;
export const SECONDS_LEFT = 7;
export const TIMESTAMP = 8;
export const FIELDS = 9;

/** Names in the order of the indices above. */
export const FIELD_NAMES = [
  "step",
  "loss",
  "evalLoss",
  "learningRate",
  "epoch",
  "tokensPerSecond",
  "samplesPerSecond",
  "secondsLeft",
  "timestamp",
] as const;

const KEYS = FIELD_NAMES.map((name) => new TextEncoder().encode(name));
const NO_NUMBER = -Number.MAX_VALUE;
const OPEN = 123;
const CLOSE = 125;
const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const SPACE = 32;
/** The first letter of `null`; no other accepted word starts with it. */
const NULL = 110;

/** The end of the last number or word read; a second result without an object. */
let after = 0;

/**
 * Fills `out` (length `FIELDS`): NaN if the object has no such key or its value is null, `Infinity` if its value is not
 * finite. A null loss is `-Infinity`: whether that is a gap depends on the rest of the row. The timestamp is in Unix
 * milliseconds. Returns false if the bytes are not a flat object.
 */
export function scanFlat(bytes: Uint8Array, start: number, end: number, out: Float64Array): boolean {
  for (let field = 0; field < FIELDS; field++) out[field] = NaN;
  let i = skip(bytes, start, end);
  if (i >= end || bytes[i] !== OPEN) return false;
  i = skip(bytes, i + 1, end);
  if (bytes[i] === CLOSE) return skip(bytes, i + 1, end) === end;
  while (i < end && bytes[i] === QUOTE) {
    const key = i + 1;
    i = string(bytes, key, end);
    if (i < 0) return false;
    const field = fieldOf(bytes, key, i);
    i = skip(bytes, i + 1, end);
    if (i >= end || bytes[i] !== COLON) return false;
    i = skip(bytes, i + 1, end);
    if (i >= end) return false;
    const first = bytes[i]!;
    if (first === QUOTE) {
      const from = i + 1;
      i = string(bytes, from, end);
      if (i < 0) return false;
      if (field === TIMESTAMP) out[TIMESTAMP] = parseTime(bytes, from, i);
      i++;
    } else {
      const value = first === MINUS || isDigit(first) ? numeral(bytes, i, end) : word(bytes, i, end);
      if (value !== value) return false;
      if (field >= 0 && field !== TIMESTAMP && value !== NO_NUMBER) {
        out[field] =
          value - value === 0 ? value : first !== NULL ? Infinity : field === LOSS ? -Infinity : NaN;
      }
      i = after;
    }
    i = skip(bytes, i, end);
    if (i >= end) return false;
    const next = bytes[i];
    i = skip(bytes, i + 1, end);
    if (next === CLOSE) return i === end;
    if (next !== COMMA) return false;
  }
  return false;
}

function skip(bytes: Uint8Array, from: number, end: number): number {
  let i = from;
  for (; i < end; i++) {
    const byte = bytes[i]!;
    if (byte > SPACE || (byte !== SPACE && byte !== 10 && byte !== 13 && byte !== 9)) break;
  }
  return i;
}

/** The end of a string without escapes, or -1. */
function string(bytes: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) return i;
    if (byte === BACKSLASH || byte < SPACE) return -1;
  }
  return -1;
}

function fieldOf(bytes: Uint8Array, start: number, end: number): number {
  next: for (let field = 0; field < FIELDS; field++) {
    const key = KEYS[field]!;
    if (key.length !== end - start || key[0] !== bytes[start]) continue;
    for (let k = 1; k < key.length; k++) if (key[k] !== bytes[start + k]) continue next;
    return field;
  }
  return -1;
}

/** `Infinity` for a non-finite number, `NO_NUMBER` for a boolean, NaN for anything else. */
function word(bytes: Uint8Array, from: number, end: number): number {
  if (
    matches(bytes, from, end, "null") ||
    matches(bytes, from, end, "NaN") ||
    matches(bytes, from, end, "Infinity")
  )
    return Infinity;
  return matches(bytes, from, end, "true") || matches(bytes, from, end, "false") ? NO_NUMBER : NaN;
}

function matches(bytes: Uint8Array, from: number, end: number, text: string): boolean {
  if (from + text.length > end) return false;
  for (let k = 0; k < text.length; k++) if (bytes[from + k] !== text.charCodeAt(k)) return false;
  after = from + text.length;
  return true;
}

/** A JSON number, or NaN if it is not one. */
function numeral(bytes: Uint8Array, from: number, end: number): number {
  const negative = bytes[from] === MINUS;
  if (negative && matches(bytes, from + 1, end, "Infinity")) return -Infinity;
  const lead = negative ? from + 1 : from;
  let i = lead;
  let point = -1;
  let digits = 0;
  let high = 0;
  let low = 0;
  for (; i < end; i++) {
    const byte = bytes[i]!;
    if (isDigit(byte)) {
      if (digits < HIGH_DIGITS) high = high * 10 + byte - ZERO;
      else low = low * 10 + byte - ZERO;
      if (high > 0) digits++;
    } else if (byte === POINT && point < 0) point = i;
    else break;
  }
  const wholeDigits = (point < 0 ? i : point) - lead;
  if (wholeDigits === 0 || (wholeDigits > 1 && bytes[lead] === ZERO) || point === i - 1) return NaN;
  let exponent = point < 0 ? 0 : point + 1 - i;
  if (i < end && (bytes[i]! | 32) === 101) {
    i++;
    const minus = bytes[i] === MINUS;
    if (minus || bytes[i] === 43) i++;
    const first = i;
    let power = 0;
    for (; i < end && isDigit(bytes[i]!); i++) power = power * 10 + bytes[i]! - ZERO;
    if (i === first) return NaN;
    exponent += minus ? -power : power;
  }
  after = i;
  const count = digits > HIGH_DIGITS ? digits - HIGH_DIGITS : 0;
  const size = count > LOW_DIGITS ? NaN : toDouble(high, low, count, exponent);
  if (size === size) return negative ? -size : size;
  let text = "";
  for (let k = from; k < i; k++) text += String.fromCharCode(bytes[k]!);
  return Number(text);
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 57;
}
