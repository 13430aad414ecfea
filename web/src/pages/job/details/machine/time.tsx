/** Where a run's time went, as labelled bars. */
import type { RunMetrics } from "../../../../contract.gen";
import type { Run } from "../../../../events/run";
import { duration } from "../../../../lib/format";
import { finite, isObject } from "../../../../lib/json";
import { clean } from "../../../../lib/text";
import { PHASES } from "../../progress/pace";

const PARTS: readonly (readonly [part: string, words: string, tone: string])[] = [
  ["data", "Reading data", "--series-1"],
  ["forward", "Forward pass", "--series-5"],
  ["backward", "Backward pass", "--series-2"],
  ["optimizer", "Optimizer", "--series-6"],
  ["eval", "Evaluation", "--series-3"],
  ["save", "Saving", "--series-4"],
  ["other", "Everything else", "--line-strong"],
];

interface Part {
  words: string;
  tone: string;
  seconds: number;
  share: number;
}

/** Colours of the phases, in the order of a run; the backend may name others. */
const TONES: Readonly<Record<string, string>> = {
  fetching: "--series-4",
  loading: "--series-1",
  sampling: "--series-5",
  training: "--series-2",
  evaluating: "--series-3",
  saving: "--series-6",
};

/** The parts that took any time, in the order of a step; none if nothing is known. */
export function partsOf(secondsIn: RunMetrics["secondsIn"] | unknown): Part[] {
  const durations = isObject(secondsIn) ? secondsIn : {};
  return shares(
    PARTS.map(([part, words, tone]) => ({
      words,
      tone,
      seconds: Math.max(0, finite(durations[part]) ?? 0),
    })),
  );
}

/** The phases that are over, in the order of a run, then those with unknown names; none if none was announced. */
export function phasesOf({ phases }: Pick<Run, "phases">): Part[] {
  const names = [...Object.keys(TONES), ...[...phases.keys()].filter((name) => !Object.hasOwn(TONES, name))];
  return shares(
    names.map((name) => ({
      words: Object.hasOwn(PHASES, name) ? PHASES[name]! : clean(name, 60),
      tone: Object.hasOwn(TONES, name) ? TONES[name]! : "--line-strong",
      seconds: (phases.get(name) ?? 0) / 1000,
    })),
  );
}

function shares(parts: readonly Omit<Part, "share">[]): Part[] {
  const total = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  return total > 0 && total < Infinity
    ? parts.filter(({ seconds }) => seconds > 0).map((part) => ({ ...part, share: part.seconds / total }))
    : [];
}

export function percent(share: number): string {
  return share < 0.005 ? "under 1 %" : `${Math.round(100 * share)} %`;
}

/** `0.4 s`, `12 s`, `2 min 05 s`. */
export function spent(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(1000 * seconds);
}

export function TimeBar({ title, parts }: { title: string; parts: readonly Part[] }) {
  return (
    <section class="job-time" aria-label={title}>
      <h2>{title}</h2>
      <div class="job-time-bar" aria-hidden="true">
        {parts.map(({ words, tone, share }) => (
          <span key={words} style={{ flexGrow: share, background: `var(${tone})` }} title={words} />
        ))}
      </div>
      <ul class="num">
        {parts.map(({ words, tone, seconds, share }) => (
          <li key={words}>
            <svg width="10" height="10" aria-hidden="true">
              <rect width="10" height="10" rx="2" style={{ fill: `var(${tone})` }} />
            </svg>{" "}
            {words} <b>{percent(share)}</b> <span class="hint">{spent(seconds)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
