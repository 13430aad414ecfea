/** A verdict as a shape and a word, and its rank; used wherever the page shows verdicts. */
import type { Evaluation } from "../contract.gen";
import { finite } from "../lib/json";
import { clean } from "../lib/text";
import "./verdict.css";

/** From worst to best. */
const WORDS = {
  worse: "Worse",
  unclear: "Unclear",
  same: "No difference",
  mixed: "Better, worse in general",
  better: "Better",
} as const;
type Known = keyof typeof WORDS;

const isKnown = (verdict: unknown): verdict is Known =>
  typeof verdict === "string" && Object.hasOwn(WORDS, verdict);

/** Each verdict has its own shape, so that the meaning does not depend on colour. */
export function VerdictMark({ verdict, label }: { verdict: unknown; label?: string }) {
  const known = isKnown(verdict) ? verdict : null;
  return (
    <span class={`ui-verdict ui-verdict-${known ?? "other"}`}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">
        <path d={SHAPES[known ?? "unclear"]} />
      </svg>
      <span>{label ?? (known ? WORDS[known] : clean(verdict, 40))}</span>
    </span>
  );
}

/** What a verdict means to a person, in two words. */
const STATES: Readonly<Record<string, string>> = {
  better: "Learned",
  learning: "Still learning",
  mixed: "Learned, but forgot",
  same: "No difference",
  unclear: "No clear difference",
  worse: "Worse",
};

/** The state of a job's adapter: its verdict, and whether the held-out loss was still falling at its end. */
export function stateOf(evaluation: Partial<Evaluation> | undefined): string {
  const { verdict, extendTo } = evaluation ?? {};
  return verdict === "better" && extendTo !== undefined ? "learning" : String(verdict);
}

const stateWords = (state: string): string => STATES[state] ?? clean(state, 40);

/** The state of a job's adapter, in the words that every page has for it. */
export const StateMark = ({ evaluation }: { evaluation: Partial<Evaluation> }) => (
  <VerdictMark verdict={evaluation.verdict} label={stateWords(stateOf(evaluation))} />
);

const SHAPES: Readonly<Record<Known, string>> = {
  better: "M5 8.5v-7M2 4.5l3-3 3 3",
  worse: "M5 1.5v7M2 5.5l3 3 3-3",
  mixed: "M2.7 8.5v-7M.7 3.5l2-2 2 2M7.3 1.5v7M5.3 6.5l2 2 2-2",
  same: "M1.5 3.5h7M1.5 6.5h7",
  unclear: "M1 5h1M4.5 5h1M8 5h1",
};

/** The colour of a verdict, as a token's name. */
export function toneOf(verdict: unknown): string {
  return { better: "--ok", worse: "--bad", mixed: "--warn" }[String(verdict)] ?? "--ink-2";
}

/** Ranks evaluations: by verdict, then by the gain, less what was lost in general. */
export function goodness(evaluation: Partial<Evaluation> | undefined): number | null {
  const rank = Object.keys(WORDS).indexOf(String(evaluation?.verdict));
  const gain = finite(evaluation?.heldOut?.difference?.mean) ?? 0;
  const lost = Math.min(0, finite(evaluation?.general?.difference?.mean) ?? 0);
  return rank < 0 ? null : rank + Math.atan(gain + lost) / 4;
}
