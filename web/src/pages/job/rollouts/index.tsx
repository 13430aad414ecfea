/** Some of the answers that a step learned from, with their rewards. */
import { useMemo, useState } from "preact/hooks";
import { number } from "../../../lib/format";
import type { JsonObject } from "../../../lib/json";
import { cleanBlock } from "../../../lib/text";
import { Range } from "../../../ui/controls/range";
import { type Rollout, rolloutsOf, stepsOf } from "./rollouts";
import "./rollouts.css";

const TEXT = 1000;

export function Rollouts({ events }: { events: readonly JsonObject[]; version: number }) {
  const steps = useMemo(() => stepsOf(events), [events]);
  // Null follows the newest step; a selected step stays while others arrive.
  const [chosen, choose] = useState<number | null>(null);
  const all = [...steps.keys()];
  const last = all.length - 1;
  const index = chosen === null ? last : Math.max(0, all.indexOf(chosen));
  const step = all[index];
  if (step === undefined) return null;
  const name = `Step ${number(step)}`;
  const shown = rolloutsOf(steps.get(step));
  const episode = shown.some(({ turns }) => turns.length > 0);
  const title = episode ? "Episodes" : "Sampled answers";
  return (
    <section class="rollouts" aria-label={title}>
      <div class="rollouts-head">
        <h2>{title}</h2>
        <span class="num dim">{name}</span>
        {last > 0 && (
          <Range
            class="rollouts-slider"
            min={0}
            max={last}
            step={1}
            value={index}
            label="Step of the sampled answers"
            valueText={name}
            onInput={(next) => choose(next === last ? null : all[next]!)}
          />
        )}
      </div>
      <ol class="rollouts-list">
        {shown.map((rollout, position) => (
          <li key={position}>
            <p class="num dim">
              {rollout.failure ? (
                <b>Failed: {rollout.failure}</b>
              ) : (
                <>
                  reward <b>{number(rollout.reward, 2)}</b>
                </>
              )}
              {rollout.rewards.map(([title, score]) => ` · ${title} ${number(score, 2)}`)}
              {rollout.where && ` · ${rollout.where}`}
              {rollout.truncated && (episode ? " · cut at a limit" : " · cut at the longest answer")}
            </p>
            <p class="rollouts-prompt" dir="auto">
              {cleanBlock(rollout.prompt, TEXT)}
            </p>
            {episode ? <Turns {...rollout} /> : <Answer text={rollout.answer} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Answer({ text }: { text: string }) {
  return <p dir="auto">{cleanBlock(text, TEXT) || <span class="hint">(an empty answer)</span>}</p>;
}

/** An episode's answers, each followed by its tool calls and what the tools said. */
function Turns({ turns, omitted }: Rollout) {
  return (
    <ol class="rollouts-turns" aria-label="Turns">
      {turns.map(({ answer, calls }, index) => (
        <li key={index}>
          {(answer || calls.length === 0) && <Answer text={answer} />}
          {calls.map((call, place) => (
            <dl key={place}>
              <dt class="mono" dir="auto">
                {call.name} {cleanBlock(call.arguments, TEXT)}
              </dt>
              <dd class={call.error ? "rollouts-error" : "dim"} dir="auto">
                {cleanBlock(call.result, TEXT) || "(nothing)"}
              </dd>
            </dl>
          ))}
        </li>
      ))}
      {omitted > 0 && (
        <li class="hint">
          {number(omitted)} more {omitted === 1 ? "turn" : "turns"}
        </li>
      )}
    </ol>
  );
}
