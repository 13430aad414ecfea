/** Words an attribution for the page. Pure. */
import type { Attribution, EvaluationPart, Proof, Reliability } from "../../contract.gen";
import { plural } from "../../lib/format";

/** A probability of `e^logp` per token is what people can compare; the sum depends on the answer's length. */
export function perToken(score: { logp: number; tokens: number } | undefined): string {
  if (!score || !(score.tokens > 0) || !Number.isFinite(score.logp)) return "unknown";
  const share = Math.exp(score.logp / score.tokens);
  return share >= 0.001 ? `${(100 * share).toFixed(1)} %` : "below 0.1 %";
}

export function reliabilityWords(reliability: Reliability | undefined): string {
  if (!reliability || !(reliability.proofs > 0)) {
    return "Whether they are behind the answer is unknown until a training without them has shown it.";
  }
  const { proofs, confirmed } = reliability;
  return `Training without such rows confirmed ${confirmed} of ${plural(proofs, "proposal")} of this job.`;
}

/** The title of the rows that are most like an answer; it says so if none of them is close. */
export function similarTitle({ close, similar = [] }: Attribution): string {
  if (close !== false && similar.length > 0) return "Training rows with the most words in common";
  const none = "No row is close to this question and answer.";
  return similar.length > 0 ? `${none} The nearest by their words` : none;
}

/** Whether it will still change by itself. */
export function pending({ state, proof }: Attribution): boolean {
  return (
    state === "waiting" || state === "running" || proof?.state === "training" || proof?.state === "scoring"
  );
}

/** The lines of a completed proof: name, probability per token, and the model's own answer. */
export function proofLines(proof: Proof): { key: string; name: string; share: string; text: string }[] {
  const count = proof.rows.length;
  const these = count === 1 ? "this row" : `these ${count} rows`;
  const names = [
    ["trained", "As trained"],
    ["without", `Without ${these}`],
    ["random", `Without ${count === 1 ? "1 random row" : `${count} random rows`}`],
  ] as const;
  return names.map(([key, name]) => ({
    key,
    name,
    share: perToken(proof[key]),
    text: proof[key]?.text ?? "",
  }));
}

/** The conclusion of the proof. */
export function proofVerdict({ without, random, trained }: Proof): string {
  if (!without || !random || !trained) return "";
  if (without.logp >= trained.logp) return "Not confirmed: without these rows the answer is no less likely.";
  return without.logp < random.logp
    ? "Confirmed: without these rows the answer became less likely than without random ones."
    : "Not confirmed: without random rows the answer became as unlikely.";
}

/** Which adapter to keep, the one with or without the rows: the change must be significantly better. */
export function keepWords(verdict: EvaluationPart["verdict"], them: string): string {
  return verdict === "better"
    ? `Keep the training without ${them}: it is better on the held-out rows.`
    : `Keep the job as it is: the training without ${them} is not clearly better on the held-out rows.`;
}
