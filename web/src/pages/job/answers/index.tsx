/** A run's answers to its prompts side by side: the base's, the adapter's at a step, and the wanted one. */
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Shown } from "../../../chart/chart";
import { bisect } from "../../../chart/series";
import { AskBoth } from "../../../chat/ask-both";
import { WhyLink } from "../../../chat/why/link";
import type { Job } from "../../../contract.gen";
import type { Run } from "../../../events/run";
import { number } from "../../../lib/format";
import { cleanBlock } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { Range } from "../../../ui/controls/range";
import type { JobChart } from "../progress/curve";
import type { JobNow } from "../state";
import { type Answer, answerAt, newestAt, type Prompt, samplesOf, systemOf } from "./samples";
import { differences, type Piece } from "./words";
import "./answers.css";

const TEXT = 4000;

export function Answers({ id, job, run, chart }: JobNow & { chart: JobChart }) {
  const { steps: all, prompts } = useMemo(() => samplesOf(run.answers), [run.answers]);
  // The base has its own column; before the first adapter's answer it is the only one.
  const steps = all.length > 1 ? all.filter((step) => step > 0) : all;
  // Null follows the newest step; a selected step stays while others arrive.
  const [chosen, choose] = useState<number | null>(null);
  const [compares, setCompares] = useState(false);
  const pointed = stepAt(chart, run);
  const number = pointed ?? chosen;
  const step = number === null ? steps.at(-1) : newestAt(steps, number);
  if (step === undefined) return null;
  const index = steps.indexOf(step);
  const target = targetOf(id, job, run, step);
  return (
    <section class="answers" aria-label="Answers">
      <div class="answers-head">
        <h2>Answers</h2>
        {steps.length > 1 && (
          <span class="num dim">
            {nameOf(step)}
            {pointed !== null && <span class="hint"> at the chart's cursor</span>}
          </span>
        )}
        {steps.length > 1 && (
          <Range
            class="answers-slider"
            min={0}
            max={steps.length - 1}
            step={1}
            value={index}
            label="Step of the answers"
            valueText={nameOf(step)}
            onInput={(next) => {
              setCompares(true);
              choose(next === steps.length - 1 ? null : steps[next]!);
            }}
          />
        )}
      </div>
      <ol class="answers-list">
        {prompts.map((prompt) => (
          <li key={prompt.number}>
            <PromptAnswer
              prompt={prompt}
              steps={steps}
              step={step}
              job={job}
              target={target}
              marked={compares || pointed !== null}
            />
          </li>
        ))}
      </ol>
    </section>
  );
}

interface PairProps extends JobNow {
  /** At most this many prompts to step through. */
  most: number;
  /** The prompt shown, for actions beside it. */
  children?: (prompt: Prompt, target: string | null) => ComponentChildren;
}

/** One prompt at a time, with the newest answer of the adapter beside the base's. */
export function Pair({ id, job, run, most, children }: PairProps) {
  const { steps: all, prompts } = useMemo(() => samplesOf(run.answers), [run.answers]);
  const [at, setAt] = useState(0);
  const steps = all.length > 1 ? all.filter((step) => step > 0) : all;
  const step = steps.at(-1);
  const count = Math.min(most, prompts.length);
  const prompt = prompts[Math.min(at, count - 1)];
  if (step === undefined || !prompt) return null;
  const target = targetOf(id, job, run, step);
  const final = run.outcome === "completed" && step === run.lastStep;
  const [answer] = answerAt(prompt, steps, step);
  const base = prompt.answers.get(0);
  return (
    <section class="answers answers-pair" aria-label="Answers">
      <div class="answers-head">
        <p class="answers-prompt" dir="auto">
          {cleanBlock(prompt.text, TEXT) || <span class="hint">(no question)</span>}
        </p>
        {count > 1 && (
          <span class="answers-step">
            <Button
              small
              kind="quiet"
              icon="left"
              aria-label="Previous prompt"
              onClick={() => setAt((at + count - 1) % count)}
            />
            <span class="hint num" aria-live="polite">
              {Math.min(at, count - 1) + 1} of {count}
            </span>
            <Button
              small
              kind="quiet"
              icon="right"
              aria-label="Next prompt"
              onClick={() => setAt((at + 1) % count)}
            />
          </span>
        )}
      </div>
      <div class="answers-columns">
        {base && <Column name="Base model" answer={base} />}
        {step > 0 && answer && (
          <Column name={final ? "Your adapter" : `Adapter, step ${number(step)}`} answer={answer} />
        )}
        {prompt.wanted && <Column name="Wanted" answer={{ text: prompt.wanted, truncated: false }} />}
      </div>
      {children?.(prompt, target)}
    </section>
  );
}

const nameOf = (step: number): string => (step === 0 ? "Base model" : `Step ${number(step)}`);

/** The step of the last row up to the chart's cursor. */
function stepAt({ scene, cursor: { value: cursor } }: Shown, run: Run): number | null {
  if (cursor === null) return null;
  const own = scene.peek()?.lines.filter(({ track }) => track.rows === run.rows) ?? [];
  const line = "key" in cursor ? own.find(({ track }) => track.key === cursor.key) : own[0];
  const row = line?.rows[Math.max(0, bisect(line.xs, cursor.x, true) - 1)];
  return row === undefined ? null : run.rows.step.at(row);
}

/** The model that answered at `step`, as an address names it; null if it was not kept. */
function targetOf(id: string, job: Job | undefined, run: Run, step: number): string | null {
  if (step === 0) return job?.config?.model ? `base:${job.config.model}` : null;
  if (run.checkpoints.some((saved) => saved.step === step)) return `checkpoint:${id}:${step}`;
  return run.outcome === "completed" && step === run.lastStep ? `final:${id}` : null;
}

interface PromptAnswerProps {
  prompt: Prompt;
  steps: readonly number[];
  step: number;
  job: Job | undefined;
  target: string | null;
  /** Whether differences from the step before are marked: useful when stepping through them. */
  marked: boolean;
}

function PromptAnswer({ prompt, steps, step, job, target, marked }: PromptAnswerProps) {
  const [answer, before] = answerAt(prompt, steps, step);
  const base = prompt.answers.get(0);
  const system = systemOf(prompt.before);
  return (
    <>
      {prompt.before !== null && prompt.before.length > 0 && (
        <details class="answers-before">
          <summary>Earlier messages</summary>
          <dl>
            {prompt.before.map((turn, index) => (
              <div key={index}>
                <dt>{turn.role}</dt>
                <dd dir="auto">{cleanBlock(turn.content, TEXT)}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
      <p class="answers-prompt" dir="auto">
        {cleanBlock(prompt.text, TEXT) || <span class="hint">(no question)</span>}
      </p>
      <div class="answers-columns">
        {base && <Column name="Base" answer={base} />}
        {step > 0 &&
          (answer ? (
            <Column
              name={`Adapter, step ${number(step)}`}
              answer={answer}
              before={marked ? before : undefined}
              marked={marked}
            />
          ) : (
            <div>
              <h3>Adapter, step {number(step)}</h3>
              <p class="hint">No answer at this step.</p>
            </div>
          ))}
        {prompt.wanted && <Column name="Wanted" answer={{ text: prompt.wanted, truncated: false }} />}
      </div>
      {target?.startsWith("final:") && answer && !answer.truncated && prompt.before !== null && (
        <WhyLink
          jobId={target.slice("final:".length)}
          messages={[...prompt.before, { role: "user", content: prompt.text }]}
          answer={answer.text}
        />
      )}
      {target !== null && system !== null && prompt.text !== "" && (
        <AskBoth job={job} target={target} question={prompt.text} system={system} class="answers-ask">
          Ask in Playground
        </AskBoth>
      )}
    </>
  );
}

interface ColumnProps {
  name: string;
  answer: Answer;
  before?: Answer | undefined;
  marked?: boolean;
}

function Column({ name, answer, before, marked = false }: ColumnProps) {
  const text = cleanBlock(answer.text, TEXT);
  const pieces = useMemo(
    () =>
      before
        ? differences(cleanBlock(before.text, TEXT), text, {
            before: before.truncated,
            after: answer.truncated,
          })
        : null,
    [text, before],
  );
  const unchanged = pieces?.every(({ kind }) => kind === "same");
  const note =
    !marked || !before ? "" : pieces === null ? "All of it is new." : unchanged ? "Unchanged." : "";
  return (
    <div>
      <h3>{name}</h3>
      <p dir="auto">
        {pieces ? pieces.map(pieceOf) : text || <span class="hint">(an empty answer)</span>}
        {answer.truncated && (
          <span class="hint" title="Cut at the length limit">
            {" "}
            … (cut)
          </span>
        )}
      </p>
      {note && <p class="hint">{note}</p>}
    </div>
  );
}

function pieceOf({ text, kind }: Piece, index: number) {
  if (kind === "new") return <ins key={index}>{text}</ins>;
  return kind === "gone" ? <del key={index}>{text}</del> : <span key={index}>{text}</span>;
}
