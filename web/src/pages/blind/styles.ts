/** The page's styles, outside the style sheet of the first load: few visits lead to a blind test. */
import type { CSSProperties } from "preact";

type Style = CSSProperties;

const stack = (gap: number, more: Style = {}): Style => ({ display: "grid", gap: `${gap}px`, ...more });

const page = stack(16, { justifyItems: "start" });
const quiet: Style = { maxWidth: "100%", color: "var(--ink-2)", overflowWrap: "anywhere" };
const start = stack(16, { width: "min(100%, 40rem)" });
const row: Style = { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "8px" };
const fullWidth = stack(12, { width: "100%", minWidth: 0, outline: "none" });
const question: Style = {
  fontSize: "var(--size-3)",
  marginBottom: "12px",
  overflowWrap: "anywhere",
  whiteSpace: "pre-wrap",
};
/** Within reach next to long answers, too. */
const judge: Style = {
  ...row,
  position: "sticky",
  top: "var(--bar)",
  zIndex: 1,
  padding: "8px 0",
  background: "var(--bg)",
};
const label: Style = {
  marginBottom: "4px",
  color: "var(--ink-3)",
  fontSize: "var(--size-1)",
  fontWeight: "var(--medium)",
};
const verdict: Style = { maxWidth: "75ch", fontSize: "var(--size-3)", overflowWrap: "anywhere" };
const share: Style = { width: "min(100%, 40rem)", paddingInline: "6px" };
const ends: Style = { display: "flex", justifyContent: "space-between", gap: "16px" };
/** A model's name above its votes: a phone fits a few words of it on a line. */
const name: Style = { whiteSpace: "normal", overflowWrap: "break-word" };
const end: Style = { overflowWrap: "anywhere" };

export const styles = {
  page,
  quiet,
  start,
  row,
  whole: fullWidth,
  asked: question,
  judge,
  label,
  verdict,
  share,
  ends,
  name,
  end,
};
