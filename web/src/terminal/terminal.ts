/**
 * A child's output as lines of styled text, like a terminal as far as a log needs it. Carriage returns and cursor
 * movements work, so progress bars stay in place; colours are kept; everything else that a terminal would obey (titles,
 * links, queries, clipboard) is dropped. Memory is bounded whatever the child prints.
 */
import { cutRow, emptyRow, freeze, type Line, type Row, textOf, thaw } from "./row";
import { PLAIN, paramsOf, type Style, sgr } from "./style";

interface Limits {
  /** Maximum number of lines kept; the oldest are dropped first. */
  lines: number;
  /** Maximum number of characters kept of a line. */
  width: number;
}

const DEFAULTS: Limits = { lines: 10_000, width: 2000 };
/** Lines at the end that the cursor can still reach. */
const SCREEN = 100;
const TAB = 8;
const LONGEST_SEQUENCE = 4096;
const BIDI = /[\u202a-\u202e\u2066-\u2069]/;

type Mode = "text" | "escape" | "csi" | "string" | "stringEscape";

export class Terminal {
  /** Lines dropped from the front. */
  dropped = 0;
  readonly #limits: Limits;
  /** Characters received. */
  written = 0;
  /** All lines; the cursor's line is outdated here, since `row` has it. */
  #lines: Line[] = [[]];
  #at = 0;
  #row: Row = emptyRow();
  #frozen: Line | null = null;
  #column = 0;
  #style: Style = PLAIN;
  #mode: Mode = "text";
  #sequence = "";
  #skipped = 0;

  constructor(limits: Partial<Limits> = {}) {
    this.#limits = { ...DEFAULTS, ...limits };
  }

  /** Visible lines; the last one is left out while it is empty. */
  get count(): number {
    const last = this.#lines.length - 1;
    const empty = (last === this.#at ? this.#row.cells : this.line(last)).length === 0;
    return empty ? last : last + 1;
  }

  line(index: number): Line {
    if (index === this.#at) return (this.#frozen ??= freeze(this.#row));
    return this.#lines[index] ?? [];
  }

  text(index: number): string {
    return textOf(this.line(index));
  }

  write(chunk: string): void {
    this.#frozen = null;
    this.written += chunk.length;
    for (const char of chunk) this.#put(char);
    this.#trim(0);
  }

  /** Hands over all lines but the last `keep`, each with its end: by default those that nothing can change any longer. */
  take(keep = SCREEN): string {
    this.#lines[this.#at] = this.line(this.#at);
    const lines = this.#lines.splice(0, Math.min(this.count, this.#lines.length - keep));
    this.#at -= lines.length;
    return lines.map((line) => `${textOf(line)}\n`).join("");
  }

  /** Drops lines beyond the limit; in blocks, since each drop moves the whole array. */
  #trim(slack: number): void {
    const over = Math.min(this.#at, this.count - this.#limits.lines);
    if (over <= slack) return;
    this.#lines.splice(0, over);
    this.#at -= over;
    this.dropped += over;
  }

  #put(char: string): void {
    switch (this.#mode) {
      case "text":
        return this.#putText(char);
      case "escape":
        return this.#putEscape(char);
      case "csi":
        return this.#putSequence(char);
      case "string":
        // OSC, DCS and similar sequences: skipped up to their end, or up to a length that no legitimate one has.
        this.#skipped += 1;
        if (char === "\u0007" || char === "\u009c" || this.#skipped > LONGEST_SEQUENCE || char === "\n")
          this.#mode = "text";
        else if (char === "\u001b") this.#mode = "stringEscape";
        return;
      case "stringEscape":
        if (char === "\\") this.#mode = "text";
        else this.#putEscape(char);
    }
  }

  #putText(char: string): void {
    const code = char.charCodeAt(0);
    if (code >= 0x20 && code !== 0x7f && (code < 0x80 || code > 0x9f)) {
      if (code < 0x202a || !BIDI.test(char)) this.#write1(char);
    } else if (code === 0x0a) this.#newLine();
    else if (code === 0x0d) this.#column = 0;
    else if (code === 0x08) this.#column = Math.max(0, this.#column - 1);
    else if (code === 0x09) {
      const target = Math.min(this.#limits.width, (Math.floor(this.#column / TAB) + 1) * TAB);
      while (this.#column < target) this.#write1(this.#row.cells[this.#column] ?? " ");
    } else if (code === 0x1b) this.#mode = "escape";
    else if (code === 0x9b) this.#startSequence();
  }

  #putEscape(char: string): void {
    if (char === "[") return this.#startSequence();
    if ("]PX^_".includes(char)) {
      this.#skipped = 0;
      this.#mode = "string";
      return;
    }
    // Two-character escapes with an intermediate, such as a choice of character set, take one more.
    if (" #%()*+".includes(char)) return;
    this.#mode = "text";
  }

  #startSequence(): void {
    this.#sequence = "";
    this.#mode = "csi";
  }

  #putSequence(char: string): void {
    if (char < "@" || char > "~") {
      this.#sequence += char;
      if (this.#sequence.length > 256 || char < " ") this.#mode = "text";
      return;
    }
    this.#mode = "text";
    if (/[^0-9;:]/.test(this.#sequence)) return;
    const params = paramsOf(this.#sequence);
    const first = params[0] ?? 0;
    const many = Math.max(1, first);
    if (char === "m") this.#style = sgr(this.#style, params);
    else if (char === "K") this.#erase(first);
    else if (char === "J" && first === 0) {
      this.#erase(0);
      this.#lines.length = this.#at + 1;
    } else if (char === "G") this.#toColumn(many - 1);
    else if (char === "C") this.#toColumn(this.#column + many);
    else if (char === "D") this.#toColumn(this.#column - many);
    else if (char === "A" || char === "F") this.#toRow(this.#at - many, char === "F");
    else if (char === "B" || char === "E") this.#toRow(this.#at + many, char === "E");
  }

  #toColumn(column: number): void {
    this.#column = Math.min(this.#limits.width, Math.max(0, column));
  }

  #toRow(row: number, start: boolean): void {
    this.#lines[this.#at] = freeze(this.#row);
    const { length } = this.#lines;
    this.#at = Math.min(length - 1, Math.max(0, length - SCREEN, row));
    this.#row = thaw(this.#lines[this.#at] ?? []);
    if (start) this.#column = 0;
  }

  #write1(char: string): void {
    const row = this.#row;
    if (this.#column >= this.#limits.width) {
      row.cut += 1;
      return;
    }
    while (row.cells.length < this.#column) {
      row.cells.push(" ");
      row.styles.push(PLAIN);
    }
    row.cells[this.#column] = char;
    row.styles[this.#column] = this.#style;
    this.#column += 1;
  }

  #newLine(): void {
    this.#lines[this.#at] = freeze(this.#row);
    this.#column = 0;
    this.#at += 1;
    if (this.#at < this.#lines.length) {
      this.#row = thaw(this.#lines[this.#at] ?? []);
      return;
    }
    this.#lines.push([]);
    this.#row = emptyRow();
    this.#trim(this.#limits.lines / 4);
  }

  #erase(mode: number): void {
    const row = this.#row;
    if (mode === 1) {
      for (let index = 0; index <= this.#column && index < row.cells.length; index += 1)
        row.cells[index] = " ";
    } else {
      cutRow(row, mode === 0 ? this.#column : 0);
    }
  }
}
