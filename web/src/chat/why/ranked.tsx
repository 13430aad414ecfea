/** Training rows, each with its location in the data, and with scores if those are meaningful to a reader. */
import { useEffect } from "preact/hooks";
import type { TracedRow } from "../../contract.gen";
import { clean, cleanBlock } from "../../lib/text";
import { href } from "../../router";
import { jobs } from "../../store/jobs";
import { loadManifest, trainerOfJob } from "../../store/manifest";
import "./why.css";

const TEXT = 300;

interface Props {
  title: string;
  rows: readonly TracedRow[];
  jobId: string;
  /** The label of the rows' scores; without it they are not shown. */
  score?: string;
}

export function Ranked({ title, rows, jobId, score }: Props) {
  useEffect(() => void loadManifest(), []); // which rows have a page
  return (
    <div>
      <p class="why-title">{title}</p>
      {rows.length > 0 && (
        <ol class={score ? "why-rows why-scored" : "why-rows"} aria-label={title}>
          {rows.map((row) => (
            <li key={row.where}>
              {score && (
                <span class="num why-score" title={score}>
                  <span class="visually-hidden">{score}: </span>
                  {row.score < 0 && "−"}
                  {Math.abs(row.score).toFixed(2)}
                </span>
              )}
              <div>
                <p dir="auto">{cleanBlock(row.question, TEXT) || <span class="hint">(no question)</span>}</p>
                <p dir="auto" class="dim">
                  {cleanBlock(row.answer, TEXT)}
                </p>
                <RowLink row={row} jobId={jobId} />
              </div>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

/** The row's location; a link if the Data page shows this job's data. */
function RowLink({ row, jobId }: { row: TracedRow; jobId: string }) {
  const job = jobs.value.find(({ id }) => id === jobId);
  const trainer = job && trainerOfJob(job.name);
  const where = clean(row.where, 120);
  return trainer && row.row !== undefined ? (
    <a href={href("/data", { trainer: trainer.name, row: row.row })}>{where}</a>
  ) : (
    <span class="hint">{where}</span>
  );
}
