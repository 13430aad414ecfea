/** The part's styles, separate from the style sheet, which is part of the first load. */
import type { CSSProperties } from "preact";

type Style = CSSProperties;

const text: Style = { overflowWrap: "anywhere", whiteSpace: "pre-wrap" };

export const styles = {
  section: { display: "grid", gap: "8px", justifyItems: "start" },
  list: {
    display: "grid",
    gap: "12px",
    width: "100%",
  },
  item: { minWidth: 0, paddingTop: "10px", borderTop: "1px solid var(--line)" },
  text,
  question: { ...text, fontWeight: "var(--medium)" },
  pairs: {
    display: "grid",
    gridTemplateColumns: "max-content minmax(0, 1fr)",
    gap: "4px 12px",
    margin: "4px 0",
  },
  name: { color: "var(--ink-3)" },
} satisfies Record<string, Style>;
