/** Whether the adapter is better than its base: the sentence, the intervals, what they mean, and the rows. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, errorText } from "../../../api/client";
import type { Evaluation, Job, JobEvaluating } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { finite, isObject, type JsonObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { features } from "../../../store/features";
import { refreshJobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { ErrorNote } from "../../../ui/empty";
import { VerdictMark } from "../../../ui/verdict";
import { answerFigures, ownSentences, partsOf } from "./figures";
import { General } from "./general";
import { Intervals } from "./intervals";
import { Reading } from "./reading";
import { Rows } from "./rows";

const LOOK_MS = 1000;
const QUIET = { margin: 0, color: "var(--ink-2)", maxWidth: "90ch" };

export function Verdict({ job, answers: samples }: { job: Job; answers: readonly JsonObject[] }) {
  const evaluation = isObject(job.evaluation) ? (job.evaluation as Evaluation) : null;
  const answers = evaluation && answerFigures(evaluation);
  const version = `${evaluation?.sentence} ${evaluation?.seconds}`;
  return (
    <section aria-label="Verdict" style={{ display: "grid", gap: "8px", justifyItems: "start" }}>
      {evaluation ? (
        <>
          <h2>Verdict</h2>
          <p class="job-verdict">
            <VerdictMark verdict={evaluation.verdict} label={clean(evaluation.sentence, 600)} />
          </p>
          <Intervals job={job} parts={partsOf(evaluation)} margin={finite(evaluation.margin) ?? 0} />
          {answers && <p style={QUIET}>{answers.sentence}</p>}
          {ownSentences(evaluation).map((said) => (
            <p key={said} style={{ ...QUIET, overflowWrap: "anywhere" }}>
              {said}
            </p>
          ))}
          {evaluation.bestSentence && <p style={QUIET}>{clean(evaluation.bestSentence, 600)}</p>}
          {evaluation.split?.sentence && <p style={QUIET}>{clean(evaluation.split.sentence, 600)}</p>}
          <Opened title="What this means">
            <Reading evaluation={evaluation} />
          </Opened>
          {features.value.has("evaluation") && (
            <>
              <Opened title="Held-out rows side by side">
                <Rows job={job} best={evaluation.bestStep} answers={samples} version={version} />
              </Opened>
              {answers && (
                <Opened title="Answers to general questions">
                  <General id={job.id} figures={answers} version={version} />
                </Opened>
              )}
            </>
          )}
        </>
      ) : (
        <Ask id={job.id} />
      )}
    </section>
  );
}

/** What is behind a line that opens it, and made only then. */
function Opened({ title, children }: { title: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <details
      class="chart-statistics"
      style={{ width: "100%" }}
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{title}</summary>
      {open && children}
    </details>
  );
}

interface Asking {
  told: JobEvaluating | null;
  error: string;
  /** Whether it was refused as the data have changed since. */
  changed: boolean;
  ask: (force: boolean) => Promise<void>;
}

/** Asks for an evaluation, and looks how far it has come until it is done. */
function useEvaluating(id: string): Asking {
  const path = `/jobs/${encodeURIComponent(id)}`;
  const [told, setTold] = useState<JobEvaluating | null>(null);
  const [error, setError] = useState("");
  const [changed, setChanged] = useState(false);
  const [watched, watch] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = new AbortController();
    const look = async (): Promise<void> => {
      try {
        const { job } = await api<{ job?: Partial<Job> }>(path, { signal: stop.signal });
        const now = isObject(job?.evaluating) ? (job.evaluating as JobEvaluating) : null;
        setTold(now?.state === "failed" ? null : now);
        if (now?.state === "failed") setError(clean(now.error, 1000) || "It could not be compared.");
        else if (now) timer = setTimeout(look, LOOK_MS);
        else if (watched > 0) {
          await refreshJobs();
          announce("The adapter is compared with its base");
        }
      } catch (fault) {
        if (!stop.signal.aborted) timer = setTimeout(look, 5 * LOOK_MS);
        void fault;
      }
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, watched]);
  const ask = async (force: boolean): Promise<void> => {
    setError("");
    setChanged(false);
    try {
      const body = force ? { force } : {};
      const { job } = await api<{ job: Job }>(`${path}/evaluate`, { method: "POST", body });
      setTold(job.evaluating ?? null);
      watch(watched + 1);
    } catch (fault) {
      setError(errorText(fault));
      setChanged(fault instanceof ApiError && fault.extra.changed === true);
    }
  };
  return { told, error, changed, ask };
}

function Ask({ id }: { id: string }) {
  const { told, error, changed, ask } = useEvaluating(id);
  const progress = told?.progress;
  const words =
    told?.state === "waiting"
      ? "Waits until no job is training"
      : progress
        ? `${clean(progress.label, 60)}: ${number(progress.done)}${progress.total ? ` of ${number(progress.total)}` : ""} ${clean(progress.unit, 20)}`
        : "Evaluating";
  return (
    <>
      {error && <ErrorNote error={error} />}
      {told ? (
        <p style={QUIET} class="num">
          {words}
        </p>
      ) : (
        <Button small onClick={() => ask(changed)}>
          {changed ? "Compare all the same" : "Compare with the base model"}
        </Button>
      )}
    </>
  );
}
