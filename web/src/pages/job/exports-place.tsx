/** Where exports stand; their code is loaded for a job that can be exported. */
import type { Job } from "../../contract.gen";
import { bestStep } from "../../lib/best-step";
import { late } from "../../lib/late";
import { features } from "../../store/features";

const useExports = late(() => import("./exports"));

export function ExportsPlace({ job, status }: { job: Job | undefined; status: string }) {
  const some = job !== undefined && status === "completed" && features.value.has("exports");
  const code = useExports(some);
  return job && code ? (
    <code.Exports key={job.id} id={job.id} config={job.config} best={bestStep(job)} />
  ) : null;
}
