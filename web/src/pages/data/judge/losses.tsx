/** By which model's losses the uncertain rows come first, and measuring them. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Job, Trainer } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { isReported } from "../../../store/job";
import { jobs } from "../../../store/jobs";
import { RequestProgress } from "../progress";
import { Requested } from "../requested";
import type { OpenedView } from "../view";

interface Props {
  opened: OpenedView;
  trainer: Trainer;
  /** The job with whose adapter the model reads the rows; empty for the base model. */
  job: string;
  choose: (job: string) => void;
  /** Called once the losses are there after they were not, or those of another model. */
  measured: () => void;
}

export function Losses({ opened, trainer, job, choose, measured }: Props) {
  const [requested, setRequested] = useState<Requested | null>(null);
  useEffect(() => {
    const made = new Requested(opened, "losses", lossesPath(job));
    setRequested(made);
    return () => made.close();
  }, [opened, job]);
  const state = requested?.state.value?.state;
  const known = useRef<string | null>(job);
  useEffect(() => {
    if (state === undefined) return;
    if (state === "completed" && known.current !== job) measured();
    known.current = state === "completed" ? job : null;
  }, [state]);
  const trained = trainedFor(jobs.value, trainer);
  return (
    <>
      {(trained.length > 0 || job !== "") && (
        <label class="judge-label">
          Losses under{" "}
          <select class="ui-input" value={job} onChange={(event) => choose(event.currentTarget.value)}>
            <option value="">the base model</option>
            {trained.map(({ id, name }) => (
              <option key={id} value={id}>
                {clean(name, 60)}
              </option>
            ))}
            {job !== "" && !trained.some(({ id }) => id === job) && <option value={job}>a job</option>}
          </select>
        </label>
      )}
      {requested && (
        <RequestProgress requested={requested} label="Measure losses">
          The model reads every row once, which takes minutes for thousands of them. After an edit only
          changed rows are read again.
        </RequestProgress>
      )}
    </>
  );
}

export const lossesPath = (job: string): string => (job === "" ? "/losses" : `/losses/${job}`);

/** Jobs whose final adapter belongs to the trainer's base model, the newest first. */
export const trainedFor = (all: readonly Job[], { config }: Trainer): readonly Job[] =>
  all
    .filter((job) => job.status === "completed" && !isReported(job) && job.config?.model === config?.model)
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
    .slice(0, 20);
