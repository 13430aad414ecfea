/** "Train on 34 preferences": opens the form with method, start and data filled in. */
import { useEffect, useState } from "preact/hooks";
import { errorText } from "../../../api/client";
import { countOf, loadPreferences, methodFor, preferences, sourceFor } from "../../../chat/preferences";
import type { Job } from "../../../contract.gen";
import { plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { features, methods } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { useFill } from "../header/run-again";

interface Props {
  /** The job whose adapter is the start; without one, the first trainer's base model. */
  job: Job | undefined;
  /** The step of the checkpoint to start from, if it is not the final adapter. */
  step?: number | null;
}

export function TrainOnPreferences({ job, step }: Props) {
  const [failed, setFailed] = useState("");
  const { fill, error } = useFill(job);
  useEffect(() => {
    if (preferences.peek() === null)
      void loadPreferences().catch((fault: unknown) => setFailed(errorText(fault)));
  }, []);
  const known = preferences.value;
  if (known === null) return failed === "" ? null : <p class="hint">{clean(failed, 300)}</p>;
  const count = countOf(known);
  const method = methodFor(known);
  if (count === 0 || !methods.value.some(({ name }) => name === method)) return null;
  const parent =
    job && features.value.has("parent") ? { jobId: job.id, ...(step ? { step } : {}) } : undefined;
  const open = (): void =>
    fill({ method, datasetSource: sourceFor(known), evalDatasetSource: null }, parent, () =>
      say(`The next run learns from ${plural(count, "preference")}`),
    );
  return (
    <>
      <p>
        <Button small onClick={open}>
          Train on {plural(count, "preference")}
        </Button>
      </p>
      {known.problem !== undefined && <p class="hint">{clean(known.problem, 400)}</p>}
      {error !== null && (
        <p class="ui-field-error" role="alert">
          {clean(error, 400)}
        </p>
      )}
    </>
  );
}
