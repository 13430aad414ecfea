/** The share of decided votes for one of two models, with its confidence interval. */
import type { Ballot } from "../../contract.gen";

export type Side = "one" | "other";

export interface Tally {
  one: number;
  other: number;
  ties: number;
}

/** Votes before a result is shown: fewer say little, and an early result tempts to stop. */
export const LEAST = 10;

const Z = 1.959964;

/**
 * The 95 % score interval of a share of `won` in `of` votes, each 0 to 1; null without votes. E. B. Wilson (1927),
 * “Probable inference, the law of succession, and statistical inference”, Journal of the American Statistical
 * Association 22, 209–212.
 */
export function wilson(won: number, of: number): { low: number; high: number } | null {
  if (of <= 0) return null;
  const share = won / of;
  const z2 = Z * Z;
  const centre = (share + z2 / (2 * of)) / (1 + z2 / of);
  const half = (Z * Math.sqrt((share * (1 - share)) / of + z2 / (4 * of * of))) / (1 + z2 / of);
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** The votes between these two, whichever of them a ballot calls `one`. */
export function tallyOf(ballots: readonly Ballot[], one: string, other: string): Tally {
  const tally = { one: 0, other: 0, ties: 0 };
  for (const ballot of ballots) {
    const swapped = ballot.one === other && ballot.other === one;
    if (!swapped && (ballot.one !== one || ballot.other !== other)) continue;
    if (ballot.choice === "tie") tally.ties += 1;
    else if (ballot.choice === "one") tally[swapped ? "other" : "one"] += 1;
    else if (ballot.choice === "other") tally[swapped ? "one" : "other"] += 1;
  }
  return tally;
}

export const votesIn = ({ one, other, ties }: Tally): number => one + other + ties;

const percent = (share: number): string => String(Math.round(100 * share));

/** The result in a sentence; `names` are those of the two. */
export function verdictOf(tally: Tally, names: Readonly<Record<Side, string>>): string {
  const decided = tally.one + tally.other;
  const interval = wilson(Math.max(tally.one, tally.other), decided);
  if (!interval) return "Every vote was a tie.";
  const first: Side = tally.one > tally.other ? "one" : "other";
  const won = tally[first];
  const share = `in ${won} of ${decided} votes (${percent(won / decided)} %, 95 % interval ${percent(interval.low)} to ${percent(interval.high)} %)`;
  if (interval.low > 0.5) return `${names[first]} was preferred ${share}.`;
  return tally.one === tally.other
    ? `No preference: each was preferred ${share}.`
    : `No preference that ${decided} votes can show: ${names[first]} was preferred ${share}.`;
}
