/** How to read a verdict, and what to change: docs/reading-your-result.md in short. */
import type { Evaluation } from "../../../contract.gen";
import { finite, isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";

export function Reading({ evaluation }: { evaluation: Evaluation }) {
  const { heldOut, general, verdict } = evaluation;
  const [margin, noise] = [finite(evaluation.margin), finite(evaluation.noiseFloor)];
  const measured =
    noise === null ? "" : ` Measuring the base again moves its mean by up to ${noise.toFixed(3)}.`;
  return (
    <>
      {[heldOut, general].map(
        (part) =>
          isObject(part) && (
            <p key={part.name} class="job-verdict-text num">
              {clean(part.sentence, 600)}
            </p>
          ),
      )}
      <p class="job-verdict-text">
        Loss is how surprised a model is by each token of the wanted answer: less is better. Held-out rows are
        rows of your data that the adapter was not trained on; general questions have nothing to do with them.
      </p>
      {margin !== null && (
        <p class="job-verdict-text">
          “Better” and “worse” mean that the whole interval lies beyond {margin.toFixed(3)} nats per token.
          {measured}
        </p>
      )}
      {(verdict === "mixed" || verdict === "worse") && (
        <p class="job-verdict-text">
          An adapter that answers nothing but your task may well be worse in general. Where it has to answer
          other questions too, train for fewer steps, lower the learning rate, or mix general chats into the
          data.
        </p>
      )}
    </>
  );
}
