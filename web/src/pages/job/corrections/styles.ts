/** The part's styles, separate from the style sheet, which is part of the first load. */
import type { CSSProperties } from "preact";

type Style = CSSProperties;

const section: Style = { display: "grid", gap: "8px", justifyItems: "start" };
const list: Style = {
  display: "grid",
  gap: "12px",
  width: "100%",
  margin: 0,
  padding: 0,
  listStyle: "none",
};
const item: Style = { minWidth: 0, paddingTop: "10px", borderTop: "1px solid var(--line)" };
const text: Style = { margin: 0, overflowWrap: "anywhere", whiteSpace: "pre-wrap" };
const question: Style = { ...text, fontWeight: "var(--medium)" };
const pairs: Style = {
  display: "grid",
  gridTemplateColumns: "max-content minmax(0, 1fr)",
  gap: "4px 12px",
  margin: "4px 0",
};
const name: Style = { color: "var(--ink-3)" };

export const styles = { section, list, item, text, question, pairs, name };
