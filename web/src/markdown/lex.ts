/**
 * Converts a model's answer to markdown tokens: cheap while it grows, and safe for any content.
 *
 * `marked` reads the blocks. Every block but the last is final once another has begun, so an answer that
 * streams is lexed from its last block on: the work for a token of text is that of one block, not of all.
 * Models write lines and mean lines, so a single line break stays one, and ends a list's last item.
 * Link definitions reach only as far as the text that is lexed together; models rarely write them.
 */
import { Lexer, type Token } from "marked";
import { UNWANTED } from "./safe";

/** Inline syntax in longer texts is shown as written: some of it takes quadratic time to parse. */
const MAX_INLINE = 16_000;

/** Everything after this many characters is plain text. */
export const MAX_MARKDOWN = 200_000;

/** Thirty containers on one line, or a list item indented that far, are an attack on the stack. */
const NESTED =
  /^(?:[ \t]{60,}(?:[*+-]|\d{1,9}[.)])[ \t]|[ \t]{0,3}(?:(?:>|[*+-][ \t]|\d{1,9}[.)][ \t])[ \t]*){30}).*\n?/gmu;

const plain = (text: string): Token => ({ type: "plain", raw: text, text });

/** The blocks of a text, inline tokens included. `breaks`: a single line break stays one. */
export function lex(source: string, breaks = true): Token[] {
  const parts: Token[][] = [];
  let at = 0;
  for (const { index, 0: line } of source.matchAll(NESTED)) {
    if (index > at) parts.push(lexTame(source.slice(at, index), breaks));
    parts.push([plain(line)]);
    at = index + line.length;
  }
  if (at < source.length) parts.push(lexTame(source.slice(at), breaks));
  return breaks ? parts.flat().flatMap(endingAtItsItems) : parts.flat();
}

/** The first line of a list item, one that is indented or empty, and what may become one with the next letters. */
const OF_ITEM = /^(?:(?:[*+-]|\d{1,9}[.)]|)(?:[ \t]|$)|\d{1,9}$).*\n?/gmu;

/** A list, and apart from it the lines after its last item: markdown continues the item with them. */
function endingAtItsItems(token: Token): Token[] {
  const { raw } = token;
  let end = 0;
  if (token.type === "list") for (const line of raw.matchAll(OF_ITEM)) end = line.index + line[0].length;
  return end > 0 && raw.slice(end).trim()
    ? [raw.slice(0, end), raw.slice(end)].flatMap((part) => lexTame(part, true))
    : [token];
}

function lexTame(source: string, breaks: boolean): Token[] {
  try {
    const lexer = new Lexer({ gfm: true, breaks });
    lexer.blockTokens(source, lexer.tokens);
    for (const { src, tokens } of lexer.inlineQueue) {
      if (src.length > MAX_INLINE) tokens.push({ type: "text", raw: src, text: src, escaped: false });
      else lexer.inlineTokens(src, tokens);
    }
    return lexer.tokens;
  } catch {
    return [plain(source)];
  }
}

interface Read {
  blocks: readonly Token[];
  /** The text beyond the limit, as plain text. */
  rest: string;
}

/** The blocks of one text that only grows. */
export class MarkdownStream {
  #seen = 0;
  #endsInCr = false;
  #kept: Token[] = [];
  #tail = "";
  #lexed = 0;
  #rest = "";
  #last: Read = { blocks: [], rest: "" };

  /**
   * The blocks of `text`, which must begin with the text of the last call; otherwise it is read anew.
   * Finished blocks are the same objects from call to call.
   */
  read(text: string): Read {
    if (text.length === this.#seen) return this.#last;
    if (text.length < this.#seen) this.#reset();
    const piece = this.#normal(text.slice(this.#seen));
    this.#seen = text.length;
    const room = Math.max(0, MAX_MARKDOWN - this.#lexed);
    this.#lexed += Math.min(room, piece.length);
    this.#tail += piece.slice(0, room);
    this.#rest += piece.slice(room);
    const fresh = lex(this.#tail);
    const last = lastBlock(fresh);
    for (const block of fresh.slice(0, last)) {
      this.#kept.push(block);
      this.#tail = this.#tail.slice(block.raw.length);
    }
    this.#last = { blocks: [...this.#kept, ...fresh.slice(last)], rest: this.#rest };
    return this.#last;
  }

  #reset(): void {
    this.#seen = this.#lexed = 0;
    this.#endsInCr = false;
    this.#kept = [];
    this.#tail = this.#rest = "";
  }

  /** Line ends as marked normalises them, and no control characters. */
  #normal(piece: string): string {
    if (piece === "") return "";
    const joined = this.#endsInCr && piece.startsWith("\n") ? piece.slice(1) : piece;
    this.#endsInCr = piece.endsWith("\r");
    return joined.replace(/\r\n?/gu, "\n").replace(UNWANTED, "");
  }
}

/** The start of the last block; the blank lines after it may turn out to be part of it. */
function lastBlock(blocks: readonly Token[]): number {
  let last = blocks.length - 1;
  while (last > 0 && blocks[last]?.type === "space") last -= 1;
  // A further item makes the lines after a list a part of it again.
  if (blocks[last - 1]?.type === "list") last -= 1;
  return Math.max(0, last);
}
