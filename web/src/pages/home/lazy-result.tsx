/** The trainer's last run on Home, if it completed; its code is loaded with the first such run. */
import type { Job, Trainer } from "../../contract.gen";
import { late } from "../../lib/late";
import { isReported } from "../../store/job";
import { isOver, jobs } from "../../store/jobs";
import { trainerOfJob } from "../../store/manifest";
import { Skeleton } from "../../ui/skeleton";

const useResult = late(() => import("./result"));

/** The trainer's newest job if it has completed; no trial of a sweep, and no other program's run. */
export function resultOf(trainer: Trainer): Job | undefined {
  const newest = jobs.value.find(
    (job) => !job.sweep && !isReported(job) && isOver(job) && trainerOfJob(job.name)?.name === trainer.name,
  );
  return newest?.status === "completed" ? newest : undefined;
}

export function LazyResult({ job }: { job: Job }) {
  const code = useResult(true);
  return code ? <code.Result key={job.id} job={job} /> : <Skeleton lines={6} height={22} />;
}
