/** Loaded with the first running job of a backend that lets one continue with other settings. */
import type { Job } from "../../../contract.gen";
import { late } from "../../../lib/late";
import { features } from "../../../store/features";

const useEdited = late(() => import("."));

export function LazyEdited({
  job,
  step,
  status,
}: {
  job: Job | undefined;
  step: number | null;
  status: string;
}) {
  const code = useEdited(status === "running" && job !== undefined && features.value.has("adjust"));
  return code && <code.Edited job={job!} step={step} />;
}
