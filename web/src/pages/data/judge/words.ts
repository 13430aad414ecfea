/** Judgements in words. Pure. */
import type { Review, ReviewAgreement, ReviewSummary, RubricAgreement } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";

export type Verdict = NonNullable<Review["verdict"]>;

/** Rows to go through; the value is the API's `want`. */
export const QUEUES = [
  ["unseen", "Unseen first"],
  ["uncertain", "Uncertain first, by the model's loss"],
  ["accepted", "Accepted"],
  ["rejected", "Rejected"],
  ["flagged", "Flagged"],
  ["made", "Made by a program"],
  ["disputed", "Disputed"],
] as const;
export type Queue = (typeof QUEUES)[number][0];

export const queueOf = (text: string | null): Queue =>
  QUEUES.find(([name]) => name === text)?.[0] ?? "unseen";

export const DONE: Readonly<Record<Verdict, string>> = {
  accepted: "Accepted",
  rejected: "Rejected",
  flagged: "Flagged",
};

/** Tags as they are typed: `tone, too long`. */
export function tagsOf(text: string): string[] {
  const tags = text.split(",").map((tag) => tag.trim().replaceAll(/\s+/g, " "));
  return [...new Set(tags.filter(Boolean))].slice(0, 20).map((tag) => tag.slice(0, 50));
}

/** `12 accepted · 3 rejected · 1 flagged · 84 unseen` */
export function countWords({ accepted, rejected, flagged, unseen, disputed }: ReviewSummary): string {
  const words = [
    `${number(accepted)} accepted`,
    `${number(rejected)} rejected`,
    `${number(flagged)} flagged`,
    `${number(unseen)} unseen`,
  ];
  return (disputed > 0 ? [...words, `${number(disputed)} disputed`] : words).join(" · ");
}

/** `Ann and Bo agree on 38 of 50 rows, κ 0.62 (95 % 0.41 to 0.79)` */
export function agreementWords({ people, rows, equal, kappa, low, high }: ReviewAgreement): string {
  const names = people.map((name) => clean(name, 40) || "somebody").join(" and ");
  const words = `${names} agree on ${number(equal)} of ${plural(rows, "row")}`;
  if (kappa === null || low === null || high === null) return `${words}; κ needs two different verdicts`;
  return `${words}, κ ${kappa.toFixed(2)} (95 % ${low.toFixed(2)} to ${high.toFixed(2)})`;
}

/** `qwen (rubric) scored 120 rows · agrees with people on 18 of 24 of them, κ 0.52 (95 % 0.2 to 0.8)` */
export function rubricWords({
  by,
  scored,
  rows,
  equal,
  kappa,
  low,
  high,
  needs,
  heard,
}: RubricAgreement): string {
  const words = `${clean(by, 100)} scored ${plural(scored, "row")}`;
  if (needs > 0) return `${words} · judge ${number(needs)} more of them to see how far it agrees with people`;
  if (kappa === null || low === null || high === null) return `${words} · κ needs two different verdicts`;
  const measured = `κ ${kappa.toFixed(2)} (95 % ${low.toFixed(2)} to ${high.toFixed(2)})`;
  const verdict = heard ? "" : ": too little to go by";
  return `${words} · agrees with people on ${number(equal)} of ${number(rows)} of them, ${measured}${verdict}`;
}

/** Another person's judgement: `Bo: rejected · tone · Too blunt` */
export function reviewWords({ by, verdict, tags, comment }: Review): string {
  const words = [verdict ?? "no verdict", ...(tags ?? []).map((tag) => clean(tag, 50)), clean(comment, 300)];
  return `${clean(by, 60) || "Somebody"}: ${words.filter(Boolean).join(" · ")}`;
}
