/** Where a finished run's corrections stand; their code is loaded for a run whose data had the file. */
import type { DatasetSource, Job } from "../../contract.gen";
import { isObject } from "../../lib/json";
import { late } from "../../lib/late";

const useCorrections = late(() => import("./corrections"));

/** Whether a data set has `data/corrections.jsonl`. */
function hasCorrections(source: DatasetSource | undefined): boolean {
  if (!isObject(source)) return false;
  if (Array.isArray(source.sources)) return source.sources.some(hasCorrections);
  return source.type === "file" && ["data/corrections.jsonl", "data", "."].includes(source.path ?? "");
}

export function CorrectionsPlace({ job, status }: { job: Job | undefined; status: string }) {
  const some = status === "completed" && hasCorrections(job?.config?.datasetSource);
  const code = useCorrections(some);
  return job && code ? <code.CorrectedQuestions key={job.id} job={job} /> : null;
}
