/** The held-out rows side by side: their prompts, the wanted answers, and both losses. */
import { useMemo, useState } from "preact/hooks";
import { AskBoth } from "../../../chat/ask-both";
import type { Job } from "../../../contract.gen";
import { number } from "../../../lib/format";
import type { JsonObject } from "../../../lib/json";
import { clean, cleanBlock } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { Chips } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { type Answer, type Prompt, samplesOf } from "../answers/samples";
import { finalStep, measureOf, type Order, ordered, type Row, rowsOf } from "./figures";
import { useResult } from "./use-result";

const PAGE = 20;
const TEXT = 1000;
const ORDERS = [
  { value: "improved", label: "Improved most" },
  { value: "worse", label: "Got worse most" },
  { value: "data", label: "As in the data" },
] as const;

interface Props {
  job: Job;
  best: unknown;
  answers: readonly JsonObject[];
  /** Changes with the rows. */
  version: string;
}

/** Requested when opened. */
export function Rows({ job, best, answers, version }: Props) {
  const { answer: result, error, retry } = useResult(job.id, version);
  const { higher } = measureOf(job.evaluation?.heldOut);
  const rows = useMemo(() => rowsOf(result?.rows, higher), [result, higher]);
  const [order, setOrder] = useState<Order>("improved");
  const [limit, setLimit] = useState(PAGE);
  const { steps, prompts } = useMemo(() => samplesOf(answers), [answers]);
  const last = finalStep(steps, best, job.config?.earlyStoppingPatience);
  if (error) return <ErrorNote error={error} retry={retry} />;
  if (result === null) return <Skeleton />;
  if (rows.length === 0) return <p>The backend kept no rows.</p>;
  return (
    <>
      <Chips items={ORDERS} value={order} onChange={setOrder} label="Order of the rows" />
      <ol style={{ listStyle: "none", margin: "8px 0", padding: 0, display: "grid", gap: "14px" }}>
        {ordered(rows, order)
          .slice(0, limit)
          .map((row) => (
            <li key={row.row} style={{ overflowWrap: "anywhere" }}>
              <RowText
                row={row}
                job={job}
                prompt={prompts.find((prompt) => prompt.row === row.row)}
                last={last}
              />
            </li>
          ))}
      </ol>
      {rows.length > limit && (
        <Button small onClick={() => setLimit(limit + 2 * PAGE)}>
          Show more of {number(rows.length)} rows
        </Button>
      )}
    </>
  );
}

const QUIET = { color: "var(--ink-2)", fontSize: "var(--size-1)" };
export const WIDTH = { margin: 0, maxWidth: "75ch", whiteSpace: "pre-wrap" };
export const COLUMNS = {
  display: "grid",
  gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 12rem), 1fr))",
  gap: "8px 24px",
};

interface RowProps {
  row: Row;
  job: Job;
  prompt: Prompt | undefined;
  /** The step with the adapter's answers. */
  last: number | undefined;
}

function RowText({ row, job, prompt, last }: RowProps) {
  const { label } = measureOf(job.evaluation?.heldOut);
  const { gain } = row;
  const size = Math.abs(gain).toFixed(2);
  const change = size === "0.00" ? "no change" : gain > 0 ? `${size} better` : `${size} worse`;
  const [base, adapter] = row.said
    ? [row.said.base, row.said.adapter].map((text) => ({ text, truncated: false }))
    : [prompt?.answers.get(0), last === undefined ? undefined : prompt?.answers.get(last)];
  return (
    <>
      <div class="num" style={QUIET}>
        <b style={{ color: "var(--ink)", fontWeight: "var(--medium)" }}>{change}</b>: {label.toLowerCase()}{" "}
        {row.base.toFixed(2)} → {row.adapter.toFixed(2)}
        {row.where && <> · {clean(row.where, 120)}</>}
      </div>
      {row.question && (
        <p dir="auto" style={WIDTH}>
          {cleanBlock(row.question, TEXT)}
        </p>
      )}
      {base || adapter ? (
        <div style={COLUMNS}>
          {base && <Column name={job.evaluation?.heldOut?.classified ? "Majority" : "Base"} answer={base} />}
          {adapter && <Column name="Adapter" answer={adapter} />}
          {(row.wanted || !row.said) && (
            <Column name="Wanted" answer={{ text: row.wanted, truncated: false }} />
          )}
        </div>
      ) : (
        <p dir="auto" style={{ ...WIDTH, color: "var(--ink-2)" }}>
          {cleanBlock(row.wanted, TEXT)}
        </p>
      )}
      <Try row={row} job={job} />
    </>
  );
}

export function Column({ name, answer }: { name: string; answer: Answer }) {
  return (
    <div>
      <h3 style={{ margin: 0, color: "var(--ink-3)", fontSize: "var(--size-1)", fontWeight: "inherit" }}>
        {name}
      </h3>
      <p dir="auto" style={{ ...WIDTH, color: "var(--ink-2)" }}>
        {cleanBlock(answer.text, TEXT) || "(an empty answer)"}
        {answer.truncated && <span class="hint"> … (cut)</span>}
      </p>
    </div>
  );
}

/** The same question for the base and the adapter; not for a shortened question. */
function Try({ row, job }: { row: Row; job: Job }) {
  const { system } = row;
  if (!row.question || row.question.length >= TEXT || system === null || job.status !== "completed")
    return null;
  if (job.evaluation?.heldOut?.classified) return null; // it answers no question
  return (
    <AskBoth job={job} target={`final:${job.id}`} question={row.question} system={system} class="answers-ask">
      Ask in Playground
    </AskBoth>
  );
}
