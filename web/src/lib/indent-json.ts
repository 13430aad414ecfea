/**
 * JSON on separate lines, token by token: numbers, escapes and repeated keys stay as written, and text that is
 * truncated, or not JSON, stays unchanged.
 */

/** A longer text is left as it is: indenting a text of mere brackets would make it many times as long. */
const LONGEST = 100_000;
const DEEPEST = 32;

/** Strings, the last of which may be unfinished; punctuation; and any other run of characters between spaces. */
const TOKEN = /"(?:[^"\\]+|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/gsu;

interface Piece {
  text: string;
  /** Whether it is a key of an object. */
  key: boolean;
}

/** `text` in pieces which, joined, are the indented text. Anything but an object or a list is one piece. */
export function indentJson(text: string): Piece[] {
  if (text.length > LONGEST || !/^\s*[{[]/u.test(text)) return [{ text, key: false }];
  const tokens = text.match(TOKEN) ?? [];
  const pieces: Piece[] = [];
  let plain = "";
  let depth = 0;
  const line = (): string => `\n${"  ".repeat(Math.min(depth, DEEPEST))}`;
  tokens.forEach((token, index) => {
    const before = tokens[index - 1] ?? ",";
    const next = tokens[index + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      plain += token;
      if (next !== undefined && next !== "}" && next !== "]") plain += line();
    } else if (token === "}" || token === "]") {
      depth = Math.max(0, depth - 1);
      plain += before === "{" || before === "[" ? token : line() + token;
    } else if (token === ",") plain += token + line();
    else if (token === ":") plain += ": ";
    else {
      // Two adjacent words are not valid JSON: the space between them is kept.
      if (!/^[{}[\],:]$/u.test(before)) plain += " ";
      if (next !== ":") plain += token;
      else {
        pieces.push({ text: plain, key: false }, { text: token, key: true });
        plain = "";
      }
    }
  });
  pieces.push({ text: plain, key: false });
  return pieces;
}
