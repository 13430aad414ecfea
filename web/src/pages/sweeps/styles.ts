/** The page's styles, separate from the style sheet, which is part of the first load: few visits lead to a sweep. */
import type { CSSProperties } from "preact";

type Style = CSSProperties;

const stack = (gap: number, more: Style = {}): Style => ({ display: "grid", gap: `${gap}px`, ...more });

export const styles = {
  page: stack(24, { gridTemplateColumns: "minmax(0, 1fr)" }),
  verdict: {
    maxWidth: "75ch",
    fontSize: "var(--size-4)",
    lineHeight: 1.35,
    overflowWrap: "anywhere",
  },
  result: stack(8),
  row: { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "8px" },
  figure: stack(8, { minWidth: 0, maxWidth: "56rem", gridTemplateColumns: "minmax(0, 1fr)" }),
  svg: { display: "block", overflow: "visible" },
  scroll: { overflowX: "auto", paddingBlock: "4px", paddingInlineEnd: "24px" },
  text: { fontSize: "12px", paintOrder: "stroke", stroke: "var(--bg)", strokeWidth: "3px" },
  legend: { display: "flex", flexWrap: "wrap", gap: "4px 16px" },
  key: { display: "inline-flex", alignItems: "center", gap: "6px", paddingBlock: "4px" },
  bars: stack(8, { maxWidth: "40rem" }),
  bar: { display: "flex", flexWrap: "wrap", justifyContent: "space-between", gap: "0 16px" },
  settings: { textAlign: "start", whiteSpace: "normal", overflowWrap: "anywhere" },
  form: stack(16, { width: "min(100%, 40rem)", gridTemplateColumns: "minmax(0, 1fr)" }),
  field: stack(4),
  entry: {
    display: "grid",
    gridTemplateColumns: "minmax(0, 1fr) minmax(0, 1fr) auto auto",
    alignItems: "center",
    gap: "8px",
  },
  also: { display: "flex", alignItems: "center", gap: "8px", marginBlockStart: "12px" },
  list: stack(4),
} satisfies Record<string, Style>;
