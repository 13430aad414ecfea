/** Where a job is told of that runs or stands without a command of this launch, as after a crash; its code comes with it. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { jobs } from "../../store/jobs";
import { isLive, runs } from "../../store/runs";
import { foundJob } from "./open-run";

const view = signal<typeof import("./elsewhere").Elsewhere | null>(null);

export function ElsewherePlace() {
  const known = runs.value;
  const own = new Set([foundJob.value, ...(known ?? []).map(({ jobId }) => jobId)]);
  const others = jobs.value.filter(({ id }) => !own.has(id));
  const job =
    others.find(({ status }) => status === "running") ?? others.find(({ status }) => status === "paused");
  const shown = job && known !== null && !known.some(isLive);
  useEffect(() => {
    if (shown && !view.peek())
      void import("./elsewhere").then(({ Elsewhere }) => {
        view.value = Elsewhere;
      });
  }, [shown]);
  const View = view.value;
  return shown && View ? <View key={job.id} job={job} /> : null;
}
