/** The corrections that a run learned from: their questions, asked again, next to the wanted answers. */
import { useEffect, useRef, useState } from "preact/hooks";
import { errorText } from "../../../api/client";
import { askWhole } from "../../../chat/ask-whole";
import { corrections, loadCorrections, questionOf, wantedOf } from "../../../chat/corrections";
import { answerOf } from "../../../chat/targets";
import type { Correction, Job } from "../../../contract.gen";
import { plural } from "../../../lib/format";
import { cleanBlock } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { ErrorNote } from "../../../ui/empty";
import { became, learnedBy } from "./became";
import { styles } from "./styles";

const LONGEST = 2000;

const MARKS = {
  "as wanted": "Answered as wanted",
  "as before": "Answered as before the correction",
  "another answer": "Another answer",
} as const;

export function CorrectedQuestions({ job }: { job: Job }) {
  const [answers, setAnswers] = useState<ReadonlyMap<number, string>>(new Map());
  const [running, setAsking] = useState<number | null>(null);
  const [error, setError] = useState("");
  const abort = useRef<AbortController | null>(null);
  useEffect(() => {
    void loadCorrections().catch((fault: unknown) => setError(errorText(fault)));
    return () => abort.current?.abort();
  }, []);
  const rows = learnedBy(job, corrections.value?.rows ?? []);
  if (rows.length === 0) return error === "" ? null : <ErrorNote title="Corrections" error={error} />;
  const ask = async (): Promise<void> => {
    const stop = new AbortController();
    abort.current = stop;
    setError("");
    const byLine = new Map<number, string>();
    try {
      for (const row of rows) {
        setAsking(row.line);
        byLine.set(row.line, await askWhole(row.messages.slice(0, -1), answerOf(job), stop.signal));
        setAnswers(new Map(byLine));
      }
      announce(`${summary(rows, byLine)}.`);
    } catch (fault) {
      if (!stop.signal.aborted) setError(errorText(fault));
    }
    if (abort.current === stop) setAsking(null);
  };
  return (
    <section style={styles.section} aria-label="Corrections">
      <h2>Corrections</h2>
      <p>
        {answers.size > 0
          ? `${summary(rows, answers)}.`
          : `This run learned from ${plural(rows.length, "corrected answer")}.`}
      </p>
      {running === null ? (
        <Button small onClick={() => void ask()}>
          {answers.size > 0 ? "Ask these again" : "Ask them again"}
        </Button>
      ) : (
        <Button small icon="stop" onClick={() => abort.current?.abort()}>
          Stop
        </Button>
      )}
      {error !== "" && <ErrorNote title="Not all questions could be asked" error={error} />}
      <ol style={styles.list}>
        {rows.map((row) => (
          <Row key={row.line} row={row} answer={answers.get(row.line)} running={running === row.line} />
        ))}
      </ol>
    </section>
  );
}

function summary(rows: readonly Correction[], answers: ReadonlyMap<number, string>): string {
  const answered = rows.filter(({ line }) => answers.has(line));
  const asWanted = answered.filter((row) => became(row, answers.get(row.line)!) === "as wanted").length;
  return `${asWanted} of ${answered.length} answered word for word as wanted`;
}

function Row({ row, answer, running }: { row: Correction; answer: string | undefined; running: boolean }) {
  const result = answer === undefined ? null : became(row, answer);
  return (
    <li style={styles.item}>
      <p style={styles.question} dir="auto">
        {cleanBlock(questionOf(row), LONGEST)}
      </p>
      <dl style={styles.pairs}>
        <dt style={styles.name}>Wanted</dt>
        <dd style={styles.text} dir="auto">
          {cleanBlock(wantedOf(row), LONGEST)}
        </dd>
        {row.instead !== undefined && row.instead !== "" && (
          <>
            <dt style={styles.name}>Before</dt>
            <dd style={styles.text} dir="auto">
              {cleanBlock(row.instead, LONGEST)}
            </dd>
          </>
        )}
        {(answer !== undefined || running) && (
          <>
            <dt style={styles.name}>Now</dt>
            <dd style={styles.text} dir="auto">
              {answer === undefined ? (
                <span class="dim">Asking</span>
              ) : (
                cleanBlock(answer, LONGEST) || "Nothing"
              )}
            </dd>
          </>
        )}
      </dl>
      {result && (
        <p class="dim" style={result === "as wanted" ? { color: "var(--ok)" } : {}}>
          {MARKS[result]}
        </p>
      )}
    </li>
  );
}
