/** How long repeating a job takes, judging by its own duration. */
import { number } from "../../lib/format";
import { jobs } from "../../store/jobs";

/** `, in about 4 min`; empty if it is unknown. */
export function timeOf(jobId: string, times: number): string {
  const job = jobs.value.find(({ id }) => id === jobId);
  const took = Date.parse(job?.completedAt ?? "") - Date.parse(job?.startedAt ?? "");
  if (!(took > 0)) return "";
  const minutes = (times * took) / 60_000;
  return minutes < 1 ? ", in about a minute" : `, in about ${number(Math.ceil(minutes))} min`;
}
