/** Where a finished run's corrections stand; their code is loaded for a run whose data had the file. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { DatasetSource, Job } from "../../contract.gen";
import { isObject } from "../../lib/json";

const view = signal<typeof import("./corrections").CorrectedQuestions | null>(null);

/** Whether a data set has `data/corrections.jsonl`. */
function hasCorrections(source: DatasetSource | undefined): boolean {
  if (!isObject(source)) return false;
  if (Array.isArray(source.sources)) return source.sources.some(hasCorrections);
  return source.type === "file" && ["data/corrections.jsonl", "data", "."].includes(source.path ?? "");
}

export function CorrectionsPlace({ job, status }: { job: Job | undefined; status: string }) {
  const some = status === "completed" && hasCorrections(job?.config?.datasetSource);
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./corrections").then(({ CorrectedQuestions }) => {
      view.value = CorrectedQuestions;
    });
  }, [some]);
  const View = view.value;
  return some && job && View ? <View key={job.id} job={job} /> : null;
}
