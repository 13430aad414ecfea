/** How to read a verdict, and what to change: docs/reading-your-result.md in short. */
import type { Evaluation } from "../../../contract.gen";
import { finite } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { measureOf, preferredOf, USUAL } from "./figures";

interface Props {
  evaluation: Evaluation;
  /** The backend's comment on it. */
  sentences: readonly unknown[];
  /** Whether the adapter was trained with replay. */
  replayed: boolean;
}

export function Reading({ evaluation, sentences, replayed }: Props) {
  const { heldOut, verdict } = evaluation;
  const { label, unit, higher } = measureOf(heldOut);
  const [margin, noise] = [finite(evaluation.margin), finite(evaluation.noiseFloor)];
  const measured =
    noise === null ? "" : ` Measuring the base again moves its mean by up to ${noise.toFixed(3)}.`;
  return (
    <>
      {sentences.map((sentence) => (
        <p key={sentence} class="job-verdict-text num">
          {clean(sentence, 600)}
        </p>
      ))}
      <p class="job-verdict-text hint">
        {label === USUAL
          ? "Loss is how surprised a model is by each token of the wanted answer: lower is better."
          : `${label} is what this training method ${higher ? "raises" : "lowers"}${unit && `, in ${unit}`}.`}{" "}
        Held-out rows are rows of your data that the adapter was not trained on; general questions have
        nothing to do with them.
      </p>
      {preferredOf(heldOut) && (
        <p class="job-verdict-text hint">
          “Better” and “worse” mean that more or fewer than half of the preferences are followed more than at
          the start, and that the mean reward margin agrees: both with their whole interval. Fewer than 8 of
          them cannot tell. At equal length: a regression on how much longer the chosen answer is, read off at
          no difference.
        </p>
      )}
      {margin !== null && !preferredOf(heldOut) && (
        <p class="job-verdict-text hint">
          “Better” and “worse” mean that the whole interval lies beyond {margin.toFixed(3)} {unit}.{measured}
        </p>
      )}
      {(verdict === "mixed" || verdict === "worse") && (
        <p class="job-verdict-text hint">
          An adapter that answers nothing but your task may well be worse in general. If it has to answer
          other questions too, {replayed ? "replay more" : "use replay"}, train for fewer steps, or lower the
          learning rate.
        </p>
      )}
    </>
  );
}
