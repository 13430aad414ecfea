/** Where exports stand; their code is loaded for a job that can be exported. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Job } from "../../contract.gen";
import { bestStep } from "../../lib/best-step";
import { features } from "../../store/features";

const view = signal<typeof import("./exports").Exports | null>(null);

export function ExportsPlace({ job, status }: { job: Job | undefined; status: string }) {
  const some = job !== undefined && status === "completed" && features.value.has("exports");
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./exports").then(({ Exports }) => {
      view.value = Exports;
    });
  }, [some]);
  const View = view.value;
  return some && View ? <View key={job.id} id={job.id} best={bestStep(job)} /> : null;
}
