/** A run's verdict on Home: what was learned in a few words, and its sentence. */
import type { Evaluation } from "../../contract.gen";
import { clean } from "../../lib/text";
import { StateMark } from "../../ui/verdict";

export function VerdictHead({ evaluation }: { evaluation: Evaluation }) {
  return (
    <>
      <h2>
        <StateMark evaluation={evaluation} />
      </h2>
      <p class="dim">{clean(evaluation.sentence, 400)}</p>
      {evaluation.heldOut && !evaluation.heldOut.measure && (
        <p class="hint">
          The figures are losses: how far the wanted answers are from what the model would write. Lower is
          better.
        </p>
      )}
    </>
  );
}
