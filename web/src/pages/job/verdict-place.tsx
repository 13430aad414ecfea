/** Where the verdict stands; its code is loaded for a job that has one, or can be given one. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Job } from "../../contract.gen";
import type { Run } from "../../events/run";
import { isObject } from "../../lib/json";
import { features } from "../../store/features";

const view = signal<typeof import("./verdict").Verdict | null>(null);

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
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./verdict").then(({ Verdict }) => {
      view.value = Verdict;
    });
  }, [some]);
  const View = view.value;
  return some && View ? <View key={job.id} job={job} answers={run.answers} /> : null;
}
