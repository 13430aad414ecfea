/**
 * An incremental parser of server-sent events over bytes (WHATWG HTML, 9.2.6 "Interpreting an event stream"). It works
 * on bytes instead of text, because a finished job replays 150,000 frames: decoding and slicing each would cost more
 * than everything else the page does. A frame's data is passed as a range of a buffer, valid only during the call. Two
 * leniencies: an event with a name but no data is dispatched, too (`event: end`), and an incomplete frame is dropped by
 * `reset`, not by a time limit. Ids are ignored: readers resume by counting bytes.
 */

const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
/** Bytes processed at a time: a browser may pass megabytes, which should not be copied to complete a partial frame. */
const PIECE = 1 << 16;
const utf8 = new TextDecoder();

export interface SseSink {
  /** `name` is "message" if the frame has none; the data are the bytes [start, end). */
  event(name: string, bytes: Uint8Array, start: number, end: number): void;
  comment?(text: string): void;
}

export class SseParser {
  /** Bytes of complete frames since the last `reset`; a frame that starts with a comment does not count. */
  consumed = 0;
  #names: { bytes: Uint8Array; text: string }[] = [];
  #buffer = new Uint8Array(0);
  #used = 0;
  #line = 0;
  #scan = 0;
  #skipLf = false;
  #begun = false;
  #name = "";
  #data = -1;
  #dataEnd = -1;
  #parts: Uint8Array[] = [];

  constructor(private readonly sink: SseSink) {}

  /** Drops an incomplete frame; the connection it came from is gone. */
  reset(): void {
    this.#used = this.#line = this.#scan = this.consumed = 0;
    this.#skipLf = this.#begun = false;
    this.#clear();
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at += PIECE) this.#push(chunk.subarray(at, at + PIECE));
  }

  #push(chunk: Uint8Array): void {
    const bytes = this.#append(chunk);
    const length = this.#used;
    let frame = 0;
    let line = this.#line;
    let i = this.#scan;
    if (this.#skipLf && i < length) {
      this.#skipLf = false;
      if (bytes[i] === LF) line = ++i;
    }
    while (true) {
      let byte = 0;
      while (i < length && ((byte = bytes[i]!) > CR || (byte !== LF && byte !== CR))) i++;
      if (i === length) break;
      const end = i;
      i++;
      if (byte === CR) {
        if (i === length) this.#skipLf = true;
        else if (bytes[i] === LF) i++;
      }
      if (end === line) {
        this.#dispatch(bytes);
        if (bytes[frame] !== COLON) this.consumed += i - frame;
        frame = i;
      } else this.#field(bytes, line, end);
      line = i;
    }
    this.#keep(bytes, frame, line, i);
  }

  /** Joins the rest of the last chunk with the new one; grows by doubling, so a 10 MB line costs no quadratic copying. */
  #append(chunk: Uint8Array): Uint8Array {
    let bytes = chunk;
    if (!this.#begun && chunk.length > 0) {
      this.#begun = true;
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) bytes = chunk.subarray(3);
    }
    if (this.#used === 0) {
      this.#used = bytes.length;
      return bytes;
    }
    const needed = this.#used + bytes.length;
    if (needed > this.#buffer.length) this.#move(this.#buffer, 0, Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.set(bytes, this.#used);
    this.#used = needed;
    return this.#buffer;
  }

  /** Continues in a buffer of `size` bytes with the rest of `bytes` from `from` on. */
  #move(bytes: Uint8Array, from: number, size: number): void {
    const buffer = new Uint8Array(size);
    buffer.set(bytes.subarray(from, this.#used));
    this.#buffer = buffer;
  }

  #keep(bytes: Uint8Array, frame: number, line: number, scan: number): void {
    const rest = this.#used - frame;
    if (rest > 0 && (frame > 0 || bytes !== this.#buffer)) {
      // One buffer for the whole stream, so that reads leave no garbage; replaced by a smaller one after a very long
      // frame.
      const { length } = this.#buffer;
      if (length < rest || length > 4 * (PIECE + rest)) this.#move(bytes, frame, Math.max(4096, 2 * rest));
      else if (bytes === this.#buffer) bytes.copyWithin(0, frame, this.#used);
      else this.#buffer.set(bytes.subarray(frame, this.#used));
      if (this.#data >= 0) {
        this.#data -= frame;
        this.#dataEnd -= frame;
      }
    }
    this.#used = rest;
    this.#line = rest === 0 ? 0 : line - frame;
    this.#scan = rest === 0 ? 0 : scan - frame;
  }

  #field(bytes: Uint8Array, start: number, end: number): void {
    let colon = start;
    while (colon < end && bytes[colon] !== COLON) colon++;
    const from = bytes[colon + 1] === SPACE && colon + 1 < end ? colon + 2 : Math.min(colon + 1, end);
    const width = colon - start;
    if (width === 0) this.sink.comment?.(utf8.decode(bytes.subarray(from, end)));
    else if (width === 4 && equals(bytes, start, "data")) this.#addData(bytes, from, end);
    else if (width === 5 && equals(bytes, start, "event")) this.#name = this.#intern(bytes, from, end);
  }

  #addData(bytes: Uint8Array, from: number, end: number): void {
    if (this.#data >= 0) {
      if (this.#parts.length === 0) this.#parts.push(bytes.slice(this.#data, this.#dataEnd));
      this.#parts.push(bytes.slice(from, end));
    }
    this.#data = from;
    this.#dataEnd = end;
  }

  /** A stream uses only a few names: compare bytes instead of decoding each. */
  #intern(bytes: Uint8Array, from: number, end: number): string {
    next: for (const { bytes: known, text } of this.#names) {
      if (known.length !== end - from) continue;
      for (let k = 0; k < known.length; k++) if (known[k] !== bytes[from + k]) continue next;
      return text;
    }
    const name = bytes.slice(from, end);
    const text = utf8.decode(name);
    if (this.#names.length < 32) this.#names.push({ bytes: name, text });
    return text;
  }

  #dispatch(bytes: Uint8Array): void {
    if (this.#data < 0 && this.#name === "") return;
    const name = this.#name === "" ? "message" : this.#name;
    if (this.#parts.length > 0) {
      const joined = concat(this.#parts);
      this.#clear();
      this.sink.event(name, joined, 0, joined.length);
      return;
    }
    const start = Math.max(this.#data, 0);
    const end = this.#data < 0 ? 0 : this.#dataEnd;
    this.#clear();
    this.sink.event(name, bytes, start, end);
  }

  #clear(): void {
    this.#name = "";
    this.#data = this.#dataEnd = -1;
    if (this.#parts.length > 0) this.#parts = [];
  }
}

function equals(bytes: Uint8Array, start: number, word: string): boolean {
  for (let k = 0; k < word.length; k++) if (bytes[start + k] !== word.charCodeAt(k)) return false;
  return true;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, -1));
  let at = 0;
  parts.forEach((part, index) => {
    if (index > 0) joined[at++] = LF;
    joined.set(part, at);
    at += part.length;
  });
  return joined;
}
