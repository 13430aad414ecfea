/**
 * An incremental parser of server-sent events (WHATWG HTML, 9.2.6 "Interpreting an event stream"). Two leniencies: an
 * event with a name but no data is dispatched, too (`event: end`), and an incomplete frame is dropped by `reset`, not by
 * a time limit. Ids are ignored: readers resume by counting bytes.
 */

/** Bytes processed at a time: a browser may pass megabytes, whose texts would all be in memory at once. */
const PIECE = 1 << 16;
const utf8 = new TextEncoder();

export interface SseSink {
  /** `name` is "message" if the frame has none. */
  event(name: string, data: string): void;
  comment?(text: string): void;
}

export class SseParser {
  /** Bytes of complete frames since the last `reset`; a frame that starts with a comment does not count. */
  consumed = 0;
  #decoder = new TextDecoder();
  /** The beginning of an incomplete frame, in pieces: joining them each time would take quadratic time. */
  #rest: string[] = [];
  #afterCr = false;

  constructor(private readonly sink: SseSink) {}

  /** Drops an incomplete frame; the connection it came from is gone. */
  reset(): void {
    this.consumed = 0;
    this.#decoder = new TextDecoder();
    this.#rest = [];
    this.#afterCr = false;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at += PIECE) {
      const text = this.#decoder.decode(chunk.subarray(at, at + PIECE), { stream: true });
      if (text !== "") this.#take(this.#withLf(text));
    }
  }

  /** The text with LF as its only line end. */
  #withLf(text: string): string {
    const more = this.#afterCr && text.startsWith("\n") ? text.slice(1) : text;
    this.#afterCr = text.endsWith("\r");
    return more.includes("\r") ? more.replace(/\r\n?/g, "\n") : more;
  }

  #take(text: string): void {
    const across = text.startsWith("\n") && this.#rest.at(-1)?.endsWith("\n");
    if (!across && !text.includes("\n\n")) {
      if (text !== "") this.#rest.push(text);
      return;
    }
    const block = this.#rest.join("") + text;
    const end = block.lastIndexOf("\n\n") + 2;
    this.#rest = end < block.length ? [block.slice(end)] : [];
    this.consumed += byteLength(block.slice(0, end));
    for (const frame of block.slice(0, end - 2).split("\n\n")) this.#frame(frame);
  }

  #frame(frame: string): void {
    if (frame.startsWith(":")) this.consumed -= byteLength(frame) + 2;
    let name = "";
    let data: string | null = null;
    for (const line of frame.split("\n")) {
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
      if (field === "data") data = data === null ? value : `${data}\n${value}`;
      else if (field === "event") name = value;
      else if (colon === 0) this.sink.comment?.(value);
    }
    if (data !== null || name !== "") this.sink.event(name || "message", data ?? "");
  }
}

function byteLength(text: string): number {
  return /[^\0-\x7f]/.test(text) ? utf8.encode(text).length : text.length;
}
