/** Where the verdict stands; its code is loaded for a job that has one, or can be given one. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Job } from "../../contract.gen";
import { isObject } from "../../lib/json";
import { features } from "../../store/features";

const view = signal<typeof import("./verdict").Verdict | null>(null);

export function VerdictPlace({ job, status }: { job: Job | undefined; status: string }) {
  const some =
    job !== undefined &&
    (isObject(job.evaluation) || (features.value.has("evaluation") && status === "completed"));
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./verdict").then(({ Verdict }) => {
      view.value = Verdict;
    });
  }, [some]);
  const View = view.value;
  return some && View ? <View key={job.id} job={job} /> : null;
}
