/** The rows that match a filter, as far as they have been searched. */
import { useEffect, useState } from "preact/hooks";
import { errorText, isAbort } from "../../api/client";
import type { OpenedView, Search } from "./view";

/** Rows per request. */
const COUNT = 1000;

export interface Matches {
  rows: readonly number[];
  /** The last row that has been searched. */
  reached: number;
  error: string | null;
}

/** Searches all rows of the view, and those that are read later; null without a search. */
export function useMatches(opened: OpenedView, search: Search | null): Matches | null {
  const { id, read, indexed } = opened.view.value ?? {};
  const text = search && JSON.stringify(search);
  const [known, setKnown] = useState<(Matches & { text: string; id: string }) | null>(null);
  // Those from before an edit stay until the new rows have been searched.
  const shown = known?.text === text ? known : null;
  useEffect(() => {
    if (!search || text === null || id === undefined) return undefined;
    const abort = new AbortController();
    const go = async (): Promise<void> => {
      const same = shown?.id === id ? shown : null;
      let [rows, from] = [same?.rows ?? [], same?.reached ?? 0];
      while (!abort.signal.aborted) {
        const found = await opened.matches(search, from, COUNT, abort.signal);
        rows = [...rows, ...found.rows];
        setKnown({ text, id, rows, reached: found.reached, error: null });
        if (found.reached <= from || found.reached >= opened.count) return;
        from = found.reached;
      }
    };
    go().catch((failure: unknown) => {
      if (!isAbort(failure)) setKnown({ text, id, rows: [], reached: 0, error: errorText(failure) });
    });
    return () => abort.abort();
  }, [text, id, read, indexed]);
  return search && { rows: [], reached: 0, error: null, ...shown };
}

/** The position in sorted `rows` of the first one from `row` on. */
export function positionOf(rows: readonly number[], row: number): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
