/** A run's verdict on Home: what was learned in a few words, and its sentence. */
import type { Evaluation } from "../../contract.gen";
import { clean } from "../../lib/text";
import { StateMark } from "../../ui/verdict";

/** The usual measure, which a backend may name or leave out. */
const LOSS = "Loss";

export function VerdictHead({ evaluation }: { evaluation: Evaluation }) {
  return (
    <>
      <h2>
        <StateMark evaluation={evaluation} />
      </h2>
      <p class="dim">{clean(evaluation.sentence, 400)}</p>
      {evaluation.heldOut && (evaluation.heldOut.measure?.label ?? LOSS) === LOSS && (
        <p class="hint">
          The figures are losses: how far the wanted answers are from what the model would write. Lower is
          better.
        </p>
      )}
    </>
  );
}
