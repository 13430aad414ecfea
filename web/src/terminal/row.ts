/** One row of a terminal: cells while it can change, then spans of equal style. */
import { number } from "../lib/format";
import { PLAIN, type Style, same } from "./style";

export interface Span {
  text: string;
  style: Style;
}

export type Line = readonly Span[];

export interface Row {
  cells: string[];
  styles: Style[];
  /** Characters that did not fit. */
  cut: number;
}

export function emptyRow(): Row {
  return { cells: [], styles: [], cut: 0 };
}

export function cutRow(row: Row, at: number): void {
  row.cells.length = row.styles.length = Math.min(row.cells.length, at);
  row.cut = 0;
}

export function textOf(line: Line): string {
  return line.map((span) => span.text).join("");
}

export function freeze(row: Row): Line {
  const spans: Span[] = [];
  let from = 0;
  for (let index = 1; index <= row.cells.length; index += 1) {
    const style = row.styles[from] ?? PLAIN;
    const next = row.styles[index];
    if (index < row.cells.length && next && (next === style || same(next, style))) continue;
    spans.push({ text: row.cells.slice(from, index).join(""), style });
    from = index;
  }
  if (row.cut > 0)
    spans.push({
      text: ` … ${number(row.cut)} more characters`,
      style: { ...PLAIN, dim: true, italic: true },
    });
  return spans;
}

export function thaw(line: Line): Row {
  const row = emptyRow();
  for (const { text, style } of line) {
    for (const char of text) {
      row.cells.push(char);
      row.styles.push(style);
    }
  }
  return row;
}
