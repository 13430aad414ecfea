/** Whether the adapter is better than its base: a tile for the task, one for general ability, the rest behind Details. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Evaluation, Job } from "../../../contract.gen";
import { finite, isObject, type JsonObject } from "../../../lib/json";
import { late } from "../../../lib/late";
import { clean } from "../../../lib/text";
import { href } from "../../../router";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";
import { StateMark, VerdictMark } from "../../../ui/verdict";
import { canReplay, ReplayButton } from "../header/replay-button";
import {
  answerFigures,
  choiceOf,
  GENERAL,
  noteOf,
  ownSentences,
  type Part,
  partsOf,
  warningOf,
} from "./figures";
import { Examples, General } from "./general";
import { Intervals } from "./intervals";
import { Reading } from "./reading";
import { forgot, Remedy } from "./remedy";
import { Rows } from "./rows";
import { progressOf, useEvaluating } from "./use-evaluating";
import "./verdict.css";

const useTrade = late(() => import("./trade"));
const useConfusion = late(() => import("./confusion-table"));

export function Verdict({ job, answers: samples }: { job: Job; answers: readonly JsonObject[] }) {
  const evaluation = isObject(job.evaluation) ? (job.evaluation as Evaluation) : null;
  if (!evaluation)
    return (
      <section aria-label="Verdict" class="job-verdict">
        <Ask id={job.id} />
      </section>
    );
  const answers = answerFigures(evaluation);
  const parts = partsOf(evaluation);
  const warning = warningOf(evaluation);
  const version = `${evaluation.sentence} ${evaluation.seconds}`;
  const { bestSentence, split } = evaluation;
  const choice = choiceOf(evaluation);
  // If a checkpoint is the better adapter, that belongs to the verdict; else it is a detail.
  const better = evaluation.bestVerdict === "better";
  const beside = evaluation.heldOut?.classified?.sentences;
  const sentences = [evaluation.heldOut?.sentence, evaluation.general?.sentence, answers?.sentence]
    .concat(Array.isArray(beside) ? beside.slice(0, 4) : [], better ? [] : bestSentence, split?.sentence)
    .filter((sentence) => typeof sentence === "string" && sentence !== "");
  return (
    <section aria-label="Verdict" class="job-verdict">
      <div class="job-verdict-head">
        <h2>Verdict</h2>
        <p class="job-verdict-sentence">
          <StateMark evaluation={evaluation} />
        </p>
        <p class="job-verdict-text">{clean(evaluation.sentence, 600)}</p>
        {/* What was forgotten has its remedies in its tile. */}
        {!forgot(evaluation) && <Remedy job={job} evaluation={evaluation} />}
      </div>
      {parts.length > 0 && (
        <div class="job-tiles">
          {parts.map((part) => (
            <Tile key={part.name} job={job} part={part} />
          ))}
        </div>
      )}
      {warning && (
        <div class="job-verdict-text" role="note">
          <p>{warning.sentence}</p>
          {warning.examples.length > 0 && (
            <Opened title="Examples">
              <Examples said={warning.examples} />
            </Opened>
          )}
        </div>
      )}
      {choice !== "" && <p class="job-verdict-text num">{choice}</p>}
      {better && bestSentence && <p class="job-verdict-text">{clean(bestSentence, 600)}</p>}
      {ownSentences(evaluation).map((sentence) => (
        <p key={sentence} class="job-verdict-text">
          {sentence}
        </p>
      ))}
      <div class="job-verdict-more">
        <Opened title="Details">
          <Intervals parts={parts} margin={finite(evaluation.margin) ?? 0} />
          <Reading evaluation={evaluation} sentences={sentences} replayed={Boolean(job.config.replay)} />
          <LazyTrade job={job} parts={parts} />
        </Opened>
        {evaluation.heldOut?.classified && (
          <Opened title="Confusion matrix">
            <LazyConfusion job={job} version={version} />
          </Opened>
        )}
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
      </div>
    </section>
  );
}

function LazyTrade(props: { job: Job; parts: readonly Part[] }) {
  const code = useTrade(true);
  return code && <code.Trade {...props} />;
}

function LazyConfusion(props: { job: Job; version: string }) {
  const code = useConfusion(true);
  return code && <code.Confusion {...props} />;
}

/** One part of the verdict: its word, both losses, and the number of rows. */
function Tile({ job, part }: { job: Job; part: Part }) {
  const { name, verdict, tooFew, base, adapter, preferred } = part;
  const forgets = name === GENERAL && verdict === "worse";
  return (
    <div class="job-tile">
      <p class="job-tile-head">
        {name} <VerdictMark verdict={verdict} {...(tooFew && { label: "Too few rows" })} />
      </p>
      <p class="job-tile-value num">
        {preferred ? (
          preferred.share
        ) : (
          <>
            {base} <span aria-label="to">→</span> {adapter}
          </>
        )}
      </p>
      <p class="job-tile-note num">
        {noteOf(part)}
        {forgets && features.value.has("strength") && (
          <a href={href("/playground", { target: `final*0.5:${job.id}` })}>Try it at 50 % strength</a>
        )}
      </p>
      {forgets && canReplay(job) && (
        <p class="job-tile-remedy">
          <ReplayButton small job={job} />
          <span class="hint">A fifth of each step's rows are then the base model's own answers.</span>
        </p>
      )}
    </div>
  );
}

/** Content behind a disclosure, created when opened. */
function Opened({ title, children }: { title: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="chart-statistics" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && children}
    </details>
  );
}

function Ask({ id }: { id: string }) {
  const { evaluating, error, changed, ask } = useEvaluating(id, "Compared with the base model");
  return (
    <>
      {error && <ErrorNote error={error} />}
      {evaluating ? (
        <p class="job-verdict-text num">{progressOf(evaluating)}</p>
      ) : (
        <Button small onClick={() => ask(changed)}>
          {changed ? "Compare anyway" : "Compare with the base model"}
        </Button>
      )}
    </>
  );
}
