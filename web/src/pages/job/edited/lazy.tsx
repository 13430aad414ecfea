/** Loaded with the first running job of a backend that lets one continue with other settings. */
import type { Job } from "../../../contract.gen";
import type { Run } from "../../../events/run";
import { late } from "../../../lib/late";
import { features } from "../../../store/features";
import { stepsOf } from "../state";

const useEdited = late(() => import("."));

export function LazyEdited({ job, run, status }: { job: Job | undefined; run: Run; status: string }) {
  const code = useEdited(status === "running" && job !== undefined && features.value.has("adjust"));
  return code && <code.Edited job={job!} step={stepsOf(job, run).step} />;
}
