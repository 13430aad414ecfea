/** The remedy for an adapter that forgets: the same run with replay. */
import { DEFAULT_METHOD, type Job, REPLAYING } from "../../../contract.gen";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { ErrorNote } from "../../../ui/empty";
import { useFill } from "./run-again";

const REPLAY = 0.2;

/** Whether a run like the job could have replay, and the job has none. */
export const canReplay = ({ config: { method = DEFAULT_METHOD, replay } }: Job): boolean =>
  REPLAYING.includes(method) && !replay && features.value.has("replay");

/** Opens the form with the job's settings and replay. */
export function ReplayButton({ job, small = false }: { job: Job; small?: boolean }) {
  const { fill, error } = useFill(job);
  return (
    <>
      <Button
        small={small}
        title="A fifth of each step's rows are the base model's own answers to general questions: it forgets less"
        onClick={() =>
          fill({ replay: REPLAY }, undefined, () => say(`Replay is set to ${REPLAY} for the next run`))
        }
      >
        Run again with replay
      </Button>
      {error !== null && <ErrorNote error={error} />}
    </>
  );
}
