/** A token's text made visible: invisible characters are drawn, and nothing reorders its neighbours. */
import { bounded } from "../../lib/text";

export interface Piece {
  text: string;
  /** Replaces an invisible character. */
  drawn: boolean;
}

const MOST = 300;
/** Controls, marks and overrides of direction, zero-width characters, and spaces of other widths. */
const UNSEEN =
  /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u180e\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb]/;
const SPACES = /^ +$/;

/** The parts of a token's text. A line break is drawn before it breaks the line; a token of only spaces is drawn. */
export function pieces(text: string): Piece[] {
  if (text === "") return [{ text: "▪", drawn: true }];
  const short = bounded(text, MOST);
  if (SPACES.test(short)) return [{ text: "·".repeat(short.length), drawn: true }];
  const pieces: Piece[] = [];
  let plain = "";
  for (const character of short) {
    if (!UNSEEN.test(character)) {
      plain += character;
      continue;
    }
    if (plain) pieces.push({ text: plain, drawn: false });
    plain = "";
    pieces.push({ text: drawing(character), drawn: true });
  }
  if (plain) pieces.push({ text: plain, drawn: false });
  return pieces;
}

function drawing(character: string): string {
  const code = character.charCodeAt(0);
  if (character === "\n") return "⏎\n";
  if (character === "\t") return "→\t";
  // Unicode has pictures of the C0 controls.
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A token's text on one line, for its tooltip. */
export function quoted(text: string): string {
  return text === ""
    ? "rest of the character before"
    : `“${pieces(bounded(text, 40))
        .map((piece) => piece.text.replace("\n", "").replace("\t", ""))
        .join("")}”`;
}
