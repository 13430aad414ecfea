/** By which model's losses the uncertain rows come first, and measuring them. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Job, Trainer } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { isReported } from "../../../store/job";
import { jobs } from "../../../store/jobs";
import { RequestProgress } from "../progress";
import { Requested } from "../requested";
import type { OpenedView } from "../view";

/** Trials of a sweep, and jobs, that are listed at first. */
const OF_SWEEP = 3;
const MOST = 20;
const MORE = "more";

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
    const request = new Requested(opened, "losses", lossesPath(job));
    setRequested(request);
    return () => request.close();
  }, [opened, job]);
  const state = requested?.state.value?.state;
  const known = useRef<string | null>(job);
  useEffect(() => {
    if (state === undefined) return;
    if (state === "completed" && known.current !== job) measured();
    known.current = state === "completed" ? job : null;
  }, [state]);
  const every = trainedFor(jobs.value, trainer);
  const [listsAll, setListsAll] = useState(false);
  const trained = listsAll ? every : fewOf(every);
  const choice = (list: HTMLSelectElement): void => {
    if (list.value !== MORE) return choose(list.value);
    setListsAll(true);
    list.value = job;
  };
  return (
    <>
      {(trained.length > 0 || job !== "") && (
        <label class="judge-label">
          Losses under{" "}
          <select class="ui-input" value={job} onChange={(event) => choice(event.currentTarget)}>
            <option value="">the base model</option>
            {trained.map(({ id, name }) => (
              <option key={id} value={id}>
                {clean(name, 60)}
              </option>
            ))}
            {every.length > trained.length && (
              <option value={MORE}>and {number(every.length - trained.length)} more</option>
            )}
            {job !== "" && !trained.some(({ id }) => id === job) && (
              <option value={job}>{clean(every.find(({ id }) => id === job)?.name ?? "a job", 60)}</option>
            )}
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
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));

/** The first of them, with only the best trials of each sweep. */
export function fewOf(trained: readonly Job[]): readonly Job[] {
  const loss = ({ metrics }: Job): number => metrics?.bestEvalLoss ?? Infinity;
  const isBest = (job: Job): boolean =>
    trained.filter(({ sweep, ...other }) => sweep?.id === job.sweep?.id && loss(other) < loss(job)).length <
    OF_SWEEP;
  return trained.filter((job) => !job.sweep || isBest(job)).slice(0, MOST);
}
