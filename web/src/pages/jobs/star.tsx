import { errorText } from "../../api/client";
import type { Job } from "../../contract.gen";
import { displayName } from "../../lib/text";
import { editJob } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { say } from "../../ui/controls/live";

export async function toggleStar(job: Job): Promise<void> {
  try {
    await editJob(job.id, { starred: !job.starred });
  } catch (error) {
    say(`The star was not changed: ${errorText(error)}`);
  }
}

/** A toggle that stars a job. */
export function StarButton({ job }: { job: Job }) {
  return (
    <Button
      small
      kind="quiet"
      icon="star"
      class="jobs-star"
      aria-pressed={job.starred === true}
      aria-label={`Star ${displayName(job.name)}`}
      title={job.starred ? "Remove the star" : "Star"}
      onClick={() => void toggleStar(job)}
    />
  );
}
