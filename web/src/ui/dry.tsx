import type { Job } from "../contract.gen";
import "./dry.css";

/** Marks a job of a few rows and steps, whose figures and adapter are not those of real training. */
export function DryMark({ job }: { job: Pick<Job, "config"> | undefined }) {
  return job?.config?.dryRun === true ? <span class="ui-dry"> dry run</span> : null;
}
