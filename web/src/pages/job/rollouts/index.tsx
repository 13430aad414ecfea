/** Some of the answers that a step learned from, with their rewards. */
import { useMemo, useState } from "preact/hooks";
import { number } from "../../../lib/format";
import type { JsonObject } from "../../../lib/json";
import { cleanBlock } from "../../../lib/text";
import { Range } from "../../../ui/controls/range";
import { rolloutsOf, stepsOf } from "./rollouts";
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
  return (
    <section class="rollouts" aria-label="Sampled answers">
      <div class="rollouts-head">
        <h2>Sampled answers</h2>
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
        {rolloutsOf(steps.get(step)).map((rollout, position) => (
          <li key={position}>
            <p class="num dim">
              reward <b>{number(rollout.reward, 2)}</b>
              {rollout.rewards.map(([title, score]) => ` · ${title} ${number(score, 2)}`)}
              {rollout.where && ` · ${rollout.where}`}
              {rollout.truncated && " · cut at the longest answer"}
            </p>
            <p class="rollouts-prompt" dir="auto">
              {cleanBlock(rollout.prompt, TEXT)}
            </p>
            <p dir="auto">
              {cleanBlock(rollout.answer, TEXT) || <span class="hint">(an empty answer)</span>}
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}
