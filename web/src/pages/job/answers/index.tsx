/** How a run's answers to its prompts change, step by step. */
import type { Signal } from "@preact/signals";
import { useMemo, useState } from "preact/hooks";
import { upperBound } from "../../../chart/data/curve";
import type { Scene } from "../../../chart/geometry/scene";
import type { Cursor } from "../../../chart/input/cursor";
import type { Job } from "../../../contract.gen";
import type { Run } from "../../../events/run";
import { number } from "../../../lib/format";
import { cleanBlock } from "../../../lib/text";
import { href } from "../../../router";
import { Range } from "../../../ui/controls/range";
import { type Answer, answerAt, newestAt, type Prompt, samplesOf, systemOf } from "./samples";
import { differences, type Piece } from "./words";
import "./answers.css";

interface Props {
  id: string;
  job: Job | undefined;
  run: Run;
  version: number;
  scene: Signal<Scene | null>;
  cursor: Signal<Cursor | null>;
}

const TEXT = 4000;

export function Answers({ id, job, run, scene, cursor }: Props) {
  const { steps, prompts } = useMemo(() => samplesOf(run.answers), [run.answers]);
  // Null follows the newest; a step that is chosen stays while others come.
  const [chosen, choose] = useState<number | null>(null);
  const pointed = stepAt(scene.value, cursor.value, run);
  const wanted = pointed ?? chosen;
  const step = wanted === null ? steps.at(-1) : newestAt(steps, wanted);
  if (step === undefined) return null;
  const place = steps.indexOf(step);
  const target = targetOf(id, job, run, step);
  return (
    <section class="answers" aria-label="Answers">
      <div class="answers-head">
        <h2>Answers</h2>
        <span class="num answers-step">
          {nameOf(step)}
          {pointed !== null && <span class="hint"> at the chart's cursor</span>}
        </span>
      </div>
      {steps.length > 1 && (
        <div class="answers-slider">
          <Range
            min={0}
            max={steps.length - 1}
            step={1}
            value={place}
            label="Step of the answers"
            valueText={nameOf(step)}
            onInput={(next) => choose(next === steps.length - 1 ? null : steps[next]!)}
          />
          <div class="answers-ends num" aria-hidden="true">
            <span>{nameOf(steps[0]!)}</span>
            <span>{nameOf(steps.at(-1)!)}</span>
          </div>
        </div>
      )}
      <ol class="answers-list">
        {prompts.map((prompt) => (
          <li key={prompt.number}>
            <Asked prompt={prompt} steps={steps} step={step} target={target} />
          </li>
        ))}
      </ol>
    </section>
  );
}

const nameOf = (step: number): string => (step === 0 ? "Base model" : `Step ${number(step)}`);

/** The step of the last row up to the chart's cursor. */
function stepAt(scene: Scene | null, cursor: Cursor | null, run: Run): number | null {
  if (!scene || cursor === null) return null;
  const own = scene.drawn.filter(({ track }) => track.rows === run.rows);
  const drawn = "key" in cursor ? own.find(({ track }) => track.key === cursor.key) : own[0];
  if (!drawn) return null;
  const { xs, rows } = drawn.series;
  const index =
    "key" in cursor
      ? cursor.index
      : Math.max(0, upperBound(xs.view(), xs.length, scene.x.invert(cursor.px)) - 1);
  if (index >= xs.length) return null;
  const step = run.rows.step.at(rows.at(index));
  return Number.isFinite(step) ? step : null;
}

/** Who answered at `step`, as an address names it; null for what was not kept. */
function targetOf(id: string, job: Job | undefined, run: Run, step: number): string | null {
  if (step === 0) return job?.config?.model ? `base:${job.config.model}` : null;
  if (run.checkpoints.some((saved) => saved.step === step)) return `checkpoint:${id}:${step}`;
  return run.outcome === "completed" && step === run.lastStep ? `final:${id}` : null;
}

interface AskedProps {
  prompt: Prompt;
  steps: readonly number[];
  step: number;
  target: string | null;
}

function Asked({ prompt, steps, step, target }: AskedProps) {
  const [answer, before] = answerAt(prompt, steps, step);
  const system = systemOf(prompt.before);
  return (
    <>
      {prompt.before !== null && prompt.before.length > 0 && (
        <details class="answers-before">
          <summary>What was said before</summary>
          <dl>
            {prompt.before.map((turn, place) => (
              <div key={place}>
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
      <div class={prompt.wanted ? "answers-pair" : ""}>
        {prompt.wanted && (
          <div>
            <h3>Wanted</h3>
            <p dir="auto">{cleanBlock(prompt.wanted, TEXT)}</p>
          </div>
        )}
        <div>
          <h3>{step === 0 ? "The base model" : `After step ${number(step)}`}</h3>
          {answer ? <Said answer={answer} before={before} /> : <p class="hint">It was not asked here.</p>}
        </div>
      </div>
      {target !== null && system !== null && prompt.text !== "" && (
        <a
          class="answers-ask"
          href={href("/playground", { target, prompt: prompt.text, system, steady: 1 })}
          aria-label={`Ask in Playground: ${cleanBlock(prompt.text, 80)}`}
        >
          Ask in Playground
        </a>
      )}
    </>
  );
}

function Said({ answer, before }: { answer: Answer; before: Answer | undefined }) {
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
  const note = !before ? "" : pieces === null ? "All of it is new." : unchanged ? "As before." : "";
  return (
    <>
      <p dir="auto">
        {pieces ? pieces.map(pieceOf) : text || <span class="hint">(an empty answer)</span>}
        {answer.truncated && (
          <span class="hint" title="It was cut for its length">
            {" "}
            … (cut)
          </span>
        )}
      </p>
      {note && <p class="hint">{note}</p>}
    </>
  );
}

function pieceOf({ text, kind }: Piece, place: number) {
  if (kind === "new") return <ins key={place}>{text}</ins>;
  return kind === "gone" ? <del key={place}>{text}</del> : <span key={place}>{text}</span>;
}
