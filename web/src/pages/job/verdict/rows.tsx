/** The held-out rows side by side: what they ask, what is wanted, and both losses. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { EvaluationResult } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean, cleanBlock } from "../../../lib/text";
import { Button, Chips, ErrorNote, Skeleton } from "../../../ui";
import { type Order, ordered, type Row, rowsOf } from "./figures";

const PAGE = 20;
const TEXT = 1000;
const ORDERS = [
  { value: "improved", label: "Improved most" },
  { value: "worse", label: "Got worse most" },
  { value: "data", label: "As in the data" },
] as const;

/** Asked for when they are opened; `version` changes when there are others. */
export function Rows({ id, version }: { id: string; version: string }) {
  const [rows, setRows] = useState<readonly Row[] | null>(null);
  const [error, setError] = useState("");
  const [order, setOrder] = useState<Order>("improved");
  const [shown, setShown] = useState(PAGE);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setError("");
    api<EvaluationResult>(`/jobs/${encodeURIComponent(id)}/evaluation`, { signal: stop.signal })
      .then((found) => setRows(rowsOf(found.rows)))
      .catch((fault: unknown) => {
        if (!stop.signal.aborted) setError(errorText(fault));
      });
    return () => stop.abort();
  }, [id, version, tries]);
  if (error) return <ErrorNote error={error} retry={() => setTries(tries + 1)} />;
  if (rows === null) return <Skeleton />;
  if (rows.length === 0) return <p>The backend has kept no rows.</p>;
  return (
    <>
      <Chips items={ORDERS} value={order} onChange={setOrder} label="Order of the rows" />
      <ol style={{ listStyle: "none", margin: "8px 0", padding: 0, display: "grid", gap: "14px" }}>
        {ordered(rows, order)
          .slice(0, shown)
          .map((row) => (
            <li key={row.row} style={{ maxWidth: "75ch", overflowWrap: "anywhere" }}>
              <RowText row={row} />
            </li>
          ))}
      </ol>
      {rows.length > shown && (
        <Button small onClick={() => setShown(shown + 2 * PAGE)}>
          Show more of {number(rows.length)} rows
        </Button>
      )}
    </>
  );
}

const QUIET = { color: "var(--ink-2)", fontSize: "var(--size-1)" };

function RowText({ row }: { row: Row }) {
  const { gain } = row;
  const size = Math.abs(gain).toFixed(2);
  const change = size === "0.00" ? "no change" : gain > 0 ? `${size} better` : `${size} worse`;
  return (
    <>
      <div class="num" style={QUIET}>
        <b style={{ color: "var(--ink)", fontWeight: "var(--medium)" }}>{change}</b>: loss{" "}
        {row.base.toFixed(2)} → {row.adapter.toFixed(2)}
        {row.where && <> · {clean(row.where, 120)}</>}
      </div>
      {row.question && (
        <p dir="auto" style={{ margin: 0, whiteSpace: "pre-wrap" }}>
          {cleanBlock(row.question, TEXT)}
        </p>
      )}
      <p dir="auto" style={{ margin: 0, whiteSpace: "pre-wrap", color: "var(--ink-2)" }}>
        {cleanBlock(row.wanted, TEXT)}
      </p>
    </>
  );
}
