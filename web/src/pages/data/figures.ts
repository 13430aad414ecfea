/** Trainable rows of a truncated data set. Pure. */
import type { DatasetLengths, DatasetView, Finding } from "../../contract.gen";
import { plural } from "../../lib/format";
import { INVALID } from "../../lib/invalid-rows";
import { lossesAt } from "./losses";

/** Readable rows that can't be trained on, whatever the length. */
const NEVER: ReadonlySet<string> = new Set(["template-refuses", "nothing-to-learn"]);

/** How many rows cannot be trained on, according to the findings. */
export const unreadableIn = (findings: readonly Finding[]): number =>
  findings.reduce((sum, { code, count }) => sum + (INVALID.has(code) || NEVER.has(code) ? count : 0), 0);

interface Figures {
  rows: number;
  /** The excluded rows: `3 invalid · 2 truncated before the answer`. */
  without: string;
  tokens: number;
  truncated: number;
  learned: number;
  /** Tokens per row; null before one has been read. */
  mean: number | null;
}

export function figuresAt(
  view: Pick<DatasetView, "rows" | "indexed" | "excluded" | "leftOut" | "tokens" | "learned">,
  lengths: DatasetLengths | null,
  cut: number,
  unreadable: number,
): Figures {
  // A backend may not report it.
  const [excluded, leftOut] = [view.excluded ?? 0, view.leftOut ?? 0];
  const lost = lengths ? lossesAt(lengths, cut) : { rows: 0, tokens: 0, learned: 0, empty: 0 };
  const rows = Math.max(0, (view.rows ?? view.indexed) - excluded - leftOut - unreadable - lost.empty);
  const tokens = Math.max(0, view.tokens - lost.tokens);
  const read = (lengths?.rows ?? []).reduce((sum, count) => sum + count, 0);
  const without = [
    excluded > 0 ? `${plural(excluded, "row")} excluded` : "",
    leftOut > 0 ? `${plural(leftOut, "row")} left out by judgements` : "",
    unreadable > 0 ? `${plural(unreadable, "row")} invalid` : "",
    lost.empty > 0 ? `${plural(lost.empty, "row")} truncated before the answer` : "",
  ];
  return {
    rows,
    without: without.filter(Boolean).join(" · "),
    tokens,
    truncated: Math.min(view.tokens, lost.tokens),
    learned: Math.max(0, view.learned - lost.learned),
    mean: read > 0 ? Math.round(tokens / read) : null,
  };
}
