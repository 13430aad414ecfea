/** The page's styles, outside the style sheet of the first load: few visits lead to a blind test. */
import type { CSSProperties } from "preact";

type Style = CSSProperties;

const stack = (gap: number, more: Style = {}): Style => ({ display: "grid", gap: `${gap}px`, ...more });

const row: Style = { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "8px" };

export const styles = {
  page: stack(16, { justifyItems: "start" }),
  quiet: { maxWidth: "100%", color: "var(--ink-2)", overflowWrap: "anywhere" },
  start: stack(16, { width: "min(100%, 40rem)" }),
  row,
  whole: stack(12, { width: "100%", minWidth: 0, outline: "none" }),
  asked: {
    fontSize: "var(--size-3)",
    marginBottom: "12px",
    overflowWrap: "anywhere",
    whiteSpace: "pre-wrap",
  },
  /** Within reach next to long answers, too. */
  judge: {
    ...row,
    position: "sticky",
    top: "var(--bar)",
    zIndex: 1,
    padding: "8px 0",
    background: "var(--bg)",
  },
  label: {
    marginBottom: "4px",
    color: "var(--ink-3)",
    fontSize: "var(--size-1)",
    fontWeight: "var(--medium)",
  },
  verdict: { maxWidth: "75ch", fontSize: "var(--size-3)", overflowWrap: "anywhere" },
  share: { width: "min(100%, 40rem)", paddingInline: "6px" },
  ends: { display: "flex", justifyContent: "space-between", gap: "16px" },
  /** A model's name above its votes: a phone fits a few words of it on a line. */
  name: { whiteSpace: "normal", overflowWrap: "break-word" },
  end: { overflowWrap: "anywhere" },
} satisfies Record<string, Style>;
