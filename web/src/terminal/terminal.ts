/**
 * A child's output as lines of styled text: what a terminal would show, as far as a log needs it. Carriage
 * returns overwrite, so a progress bar stays one line; colours are kept; everything else that a terminal
 * would obey (titles, links, queries, clipboard) is dropped. Memory is bounded whatever the child prints.
 */
import { number } from "../format";
import { PLAIN, type Style, same, sgr } from "./style";

export interface Span {
  text: string;
  style: Style;
}

export type Line = readonly Span[];

export interface Limits {
  /** Lines kept; the oldest go first. */
  lines: number;
  /** Characters kept of one line. */
  width: number;
}

const DEFAULTS: Limits = { lines: 10_000, width: 2000 };
const TAB = 8;
const LONGEST_SEQUENCE = 4096;
const BIDI = /[\u202a-\u202e\u2066-\u2069]/;

type Mode = "text" | "escape" | "csi" | "string" | "stringEscape";

interface Row {
  cells: string[];
  styles: Style[];
  /** Characters that did not fit. */
  cut: number;
}

export class Terminal {
  /** Lines that were dropped from the front. */
  dropped = 0;
  private readonly limits: Limits;
  private done: Line[] = [];
  private row: Row = { cells: [], styles: [], cut: 0 };
  private column = 0;
  private style: Style = PLAIN;
  private mode: Mode = "text";
  private sequence = "";
  private skipped = 0;
  private frozen: Line | null = null;

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...DEFAULTS, ...limits };
  }

  /** Lines to show; the last one is still being written and is left out while it is empty. */
  get count(): number {
    return this.done.length + (this.row.cells.length > 0 ? 1 : 0);
  }

  line(index: number): Line {
    const line = this.done[index];
    if (line) return line;
    this.frozen ??= freeze(this.row);
    return this.frozen;
  }

  text(index: number): string {
    return this.line(index)
      .map((span) => span.text)
      .join("");
  }

  write(chunk: string): void {
    this.frozen = null;
    for (const char of chunk) this.put(char);
    // Dropping in blocks keeps a flood from moving the whole array for each line.
    const over = this.done.length - this.limits.lines;
    if (over > 0) {
      this.done.splice(0, over);
      this.dropped += over;
    }
  }

  private put(char: string): void {
    switch (this.mode) {
      case "text":
        return this.putText(char);
      case "escape":
        return this.putEscape(char);
      case "csi":
        return this.putSequence(char);
      case "string":
        // OSC, DCS and the like: swallowed up to their end, or up to a length no honest one has.
        this.skipped += 1;
        if (char === "\u0007" || char === "\u009c" || this.skipped > LONGEST_SEQUENCE || char === "\n") this.mode = "text";
        else if (char === "\u001b") this.mode = "stringEscape";
        return;
      case "stringEscape":
        if (char === "\\") this.mode = "text";
        else this.putEscape(char);
    }
  }

  private putText(char: string): void {
    const code = char.charCodeAt(0);
    if (code >= 0x20 && code !== 0x7f && (code < 0x80 || code > 0x9f)) {
      if (code < 0x202a || !BIDI.test(char)) this.write1(char);
    } else if (code === 0x0a) this.newLine();
    else if (code === 0x0d) this.column = 0;
    else if (code === 0x08) this.column = Math.max(0, this.column - 1);
    else if (code === 0x09) {
      const target = Math.min(this.limits.width, (Math.floor(this.column / TAB) + 1) * TAB);
      while (this.column < target) this.write1(this.row.cells[this.column] ?? " ");
    } else if (code === 0x1b) this.mode = "escape";
    else if (code === 0x9b) this.startSequence();
  }

  private putEscape(char: string): void {
    if (char === "[") return this.startSequence();
    if ("]PX^_".includes(char)) {
      this.skipped = 0;
      this.mode = "string";
      return;
    }
    // Two-character escapes with an intermediate, such as a choice of character set, take one more.
    if (" #%()*+".includes(char)) return;
    this.mode = "text";
  }

  private startSequence(): void {
    this.sequence = "";
    this.mode = "csi";
  }

  private putSequence(char: string): void {
    if (char < "@" || char > "~") {
      this.sequence += char;
      if (this.sequence.length > 256 || char < " ") this.mode = "text";
      return;
    }
    this.mode = "text";
    if (/[^0-9;:]/.test(this.sequence)) return;
    const params = this.sequence.split(/[;:]/).map((part) => Number(part) || 0);
    const first = params[0] ?? 0;
    if (char === "m") this.style = sgr(this.style, params);
    else if (char === "K") this.erase(first);
    else if (char === "G") this.column = Math.min(this.limits.width, Math.max(0, first - 1));
    else if (char === "C") this.column = Math.min(this.limits.width, this.column + Math.max(1, first));
    else if (char === "D") this.column = Math.max(0, this.column - Math.max(1, first));
    else if (char === "A") this.up(Math.max(1, first));
  }

  private write1(char: string): void {
    if (this.column >= this.limits.width) {
      this.row.cut += 1;
      return;
    }
    while (this.row.cells.length < this.column) {
      this.row.cells.push(" ");
      this.row.styles.push(PLAIN);
    }
    this.row.cells[this.column] = char;
    this.row.styles[this.column] = this.style;
    this.column += 1;
  }

  private newLine(): void {
    this.done.push(freeze(this.row));
    this.row = { cells: [], styles: [], cut: 0 };
    this.column = 0;
    if (this.done.length > this.limits.lines * 1.25) {
      const over = this.done.length - this.limits.lines;
      this.done.splice(0, over);
      this.dropped += over;
    }
  }

  private erase(what: number): void {
    if (what === 0) this.row = cutRow(this.row, this.column);
    else if (what === 2) this.row = cutRow(this.row, 0);
    else for (let index = 0; index <= this.column && index < this.row.cells.length; index += 1) this.row.cells[index] = " ";
  }

  /** Several progress bars under each other go up and write anew; what is below is written again by them. */
  private up(lines: number): void {
    for (let count = 0; count < Math.min(lines, 100); count += 1) {
      const above = this.done.pop();
      if (!above) return;
      this.row = thaw(above);
    }
  }
}

function cutRow(row: Row, at: number): Row {
  return { cells: row.cells.slice(0, at), styles: row.styles.slice(0, at), cut: 0 };
}

function freeze(row: Row): Line {
  const spans: Span[] = [];
  let from = 0;
  for (let index = 1; index <= row.cells.length; index += 1) {
    const style = row.styles[from] ?? PLAIN;
    const next = row.styles[index];
    if (index < row.cells.length && next && (next === style || same(next, style))) continue;
    spans.push({ text: row.cells.slice(from, index).join(""), style });
    from = index;
  }
  if (row.cut > 0) spans.push({ text: ` … ${number(row.cut)} more characters`, style: { ...PLAIN, dim: true, italic: true } });
  return spans;
}

function thaw(line: Line): Row {
  const row: Row = { cells: [], styles: [], cut: 0 };
  for (const { text, style } of line) {
    for (const char of text) {
      row.cells.push(char);
      row.styles.push(style);
    }
  }
  return row;
}
