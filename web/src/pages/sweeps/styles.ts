/** The page's styles, separate from the style sheet, which is part of the first load: few visits lead to a sweep. */
import type { CSSProperties } from "preact";

type Style = CSSProperties;

const stack = (gap: number, more: Style = {}): Style => ({ display: "grid", gap: `${gap}px`, ...more });

const page = stack(24, { gridTemplateColumns: "minmax(0, 1fr)" });
const verdict: Style = {
  maxWidth: "75ch",
  fontSize: "var(--size-4)",
  lineHeight: 1.35,
  overflowWrap: "anywhere",
};
const result = stack(8);
const row: Style = { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "8px" };
const figure = stack(8, { margin: 0, minWidth: 0, maxWidth: "56rem", gridTemplateColumns: "minmax(0, 1fr)" });
const svg: Style = { display: "block", overflow: "visible" };
const scroll: Style = { overflowX: "auto", paddingBlock: "4px", paddingInlineEnd: "24px" };
const text: Style = { fontSize: "12px", paintOrder: "stroke", stroke: "var(--bg)", strokeWidth: "3px" };
const legend: Style = { display: "flex", flexWrap: "wrap", gap: "4px 16px" };
const key: Style = { display: "inline-flex", alignItems: "center", gap: "6px", paddingBlock: "4px" };
const bars = stack(8, { listStyle: "none", margin: 0, padding: 0, maxWidth: "40rem" });
const bar: Style = { display: "flex", flexWrap: "wrap", justifyContent: "space-between", gap: "0 16px" };
const settings: Style = { textAlign: "start", whiteSpace: "normal", overflowWrap: "anywhere" };
const form = stack(16, { width: "min(100%, 40rem)", gridTemplateColumns: "minmax(0, 1fr)" });
const field = stack(4);
const entry: Style = {
  display: "grid",
  gridTemplateColumns: "minmax(0, 1fr) minmax(0, 1fr) auto auto",
  alignItems: "center",
  gap: "8px",
};
const also: Style = { display: "flex", alignItems: "center", gap: "8px", marginBlockStart: "12px" };
const list = stack(4, { listStyle: "none", margin: 0, padding: 0 });

export const styles = {
  page,
  verdict,
  result,
  row,
  figure,
  svg,
  scroll,
  text,
  legend,
  key,
  bars,
  bar,
  settings,
  form,
  field,
  entry,
  list,
  also,
};
