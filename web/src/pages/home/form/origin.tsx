/** Which job the form was filled from, and what of that job it cannot set. */
import type { Trainer } from "../../../contract.gen";
import { datasetName } from "../../../lib/job-config-text";
import { clean, displayName } from "../../../lib/text";
import { jobHref } from "../../../router";
import { jobById } from "../../../store/jobs";
import { draftedFrom } from "../../../store/trainer-draft";

export function Origin({ trainer }: { trainer: Trainer }) {
  const id = draftedFrom(trainer);
  if (id === undefined) return null;
  const job = jobById(id);
  const theirs = job && clean(datasetName(job.config.datasetSource), 120);
  const ours = clean(datasetName(trainer.config?.datasetSource), 120);
  return (
    <p class="set-origin">
      Filled in from the job <a href={jobHref(id)}>{displayName(job?.name ?? id)}</a>.
      {theirs !== undefined && theirs !== ours && (
        <>
          {" "}
          It was trained on <bdi>{theirs}</bdi>; this trainer has <bdi>{ours}</bdi>.
        </>
      )}
    </p>
  );
}
