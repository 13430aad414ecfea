/** Where the verdict stands; its code is loaded for a job that has one, or can be given one. */
import type { Job } from "../../contract.gen";
import type { Run } from "../../events/run";
import { isObject } from "../../lib/json";
import { late } from "../../lib/late";
import { features } from "../../store/features";

const useVerdict = late(() => import("./verdict"));

interface Props {
  job: Job | undefined;
  run: Run;
  version: number;
  status: string;
}

export function VerdictPlace({ job, run, status }: Props) {
  const some =
    job !== undefined &&
    (isObject(job.evaluation) || (features.value.has("evaluation") && status === "completed"));
  const code = useVerdict(some);
  return job && code ? <code.Verdict key={job.id} job={job} answers={run.answers} /> : null;
}
