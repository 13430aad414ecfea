/** A classifier's confusion matrix: a press on a number lists its rows. At first, the rows it is least sure of. */
import "./confusion.css";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import type { Job } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean, cleanBlock } from "../../../lib/text";
import { href } from "../../../router";
import { features } from "../../../store/features";
import { loadManifest, trainerOfJob } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { type Cell, cellWords, leastSure, type Matrix, matrixOf, predictedWords } from "./confusion";
import { useResult } from "./use-result";

const PAGE = 10;
const TEXT = 600;
/** More labels than this have upright names over narrow columns. */
const FLAT = 6;

export function Confusion({ job, version }: { job: Job; version: string }) {
  const sent: unknown = job.evaluation?.heldOut?.classified?.confusion;
  const matrix = useMemo(() => matrixOf(sent), [sent]);
  const [chosen, setChosen] = useState<Cell | null>(null);
  if (!matrix) return <p>The backend kept no confusion matrix.</p>;
  return (
    <>
      <p class="job-verdict-text hint">
        Held-out rows by their label (down) and the predicted one (across). Press a number to see its rows.
      </p>
      <Table matrix={matrix} chosen={chosen} choose={setChosen} />
      {matrix.left > 0 && (
        <p class="job-verdict-text hint num">
          Only the labels with the most errors; {number(matrix.left)} more have fewer.
        </p>
      )}
      {features.value.has("evaluation") && (
        <Rows job={job} version={version} chosen={chosen} all={() => setChosen(null)} />
      )}
    </>
  );
}

interface TableProps {
  matrix: Matrix;
  chosen: Cell | null;
  choose: (cell: Cell | null) => void;
}

function Table({ matrix, chosen, choose }: TableProps) {
  const { labels, counts, totals } = matrix;
  const narrow = labels.length > FLAT;
  return (
    <div class="job-confusion" role="region" aria-label="Confusion matrix" tabIndex={0}>
      <table class={narrow ? "job-confusion-narrow" : ""}>
        <thead>
          <tr>
            <th scope="col">Label</th>
            {labels.map((label) => (
              <th key={label} scope="col" title={clean(label, 200)}>
                <span dir="auto">{clean(label, 200)}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {labels.map((label, row) => (
            <tr key={label}>
              <th scope="row" title={clean(label, 200)}>
                <span dir="auto">{clean(label, 200)}</span>
              </th>
              {labels.map((predicted, column) => {
                const rows = counts[row]![column]!;
                const cell = { label, predicted, rows };
                const pressed = chosen?.label === label && chosen.predicted === predicted;
                const share = 10 + Math.ceil((35 * rows) / totals[row]!);
                return (
                  <td key={predicted} class={row === column ? "job-confusion-right" : ""}>
                    {rows > 0 && (
                      <button
                        type="button"
                        class="num"
                        style={{ "--share": `${share}%` }}
                        aria-pressed={pressed}
                        aria-label={cellWords(cell)}
                        onClick={() => choose(pressed ? null : cell)}
                      >
                        {number(rows)}
                      </button>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowsProps {
  job: Job;
  version: string;
  chosen: Cell | null;
  all: () => void;
}

function Rows({ job, version, chosen, all }: RowsProps) {
  const { answer: result, error, retry } = useResult(job.id, version);
  const rows = useMemo(() => leastSure(result?.rows), [result]);
  const [limit, setLimit] = useState(PAGE);
  const heading = useId();
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    setLimit(PAGE);
    if (chosen) head.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  if (error) return <ErrorNote error={error} retry={retry} />;
  if (result === null) return <Skeleton />;
  const shown = chosen
    ? rows.filter(({ label, predicted }) => label === chosen.label && predicted === chosen.predicted)
    : rows;
  return (
    <section class="job-confusion-rows" aria-labelledby={heading}>
      <h3 id={heading} ref={head} aria-live="polite">
        {chosen ? cellWords(chosen) : "The rows it is least sure of"}
      </h3>
      <p class="job-confusion-actions">
        {chosen && (
          <Button small onClick={all}>
            All rows, least sure first
          </Button>
        )}
        <ToQueue job={job} />
      </p>
      <ol>
        {shown.slice(0, limit).map((row) => (
          <li key={row.row}>
            <p dir="auto">{cleanBlock(row.text, TEXT) || "(an empty text)"}</p>
            <p class="hint num">
              <b dir="auto">{clean(row.label, 200)}</b>, {predictedWords(row)}
              {row.where && <> · {clean(row.where, 120)}</>}
            </p>
          </li>
        ))}
      </ol>
      {chosen && shown.length < chosen.rows && (
        <p class="hint num">The backend kept {number(shown.length)} of these rows.</p>
      )}
      {shown.length > limit && (
        <Button small onClick={() => setLimit(limit + 2 * PAGE)}>
          Show more of {number(shown.length)} rows
        </Button>
      )}
    </section>
  );
}

/** To the judging of the job's data, those rows first that its classifier labels otherwise or is least sure of. */
function ToQueue({ job }: { job: Job }) {
  useEffect(() => void loadManifest(), []);
  const trainer = trainerOfJob(job.name);
  if (!trainer || !features.value.has("embeddings") || job.status !== "completed") return null;
  return (
    <a
      class="ui-button ui-button-plain ui-button-small"
      href={href("/data", { trainer: trainer.name, judge: "uncertain", under: job.id })}
    >
      Judge uncertain rows
    </a>
  );
}
