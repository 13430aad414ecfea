/** Which job the form was filled from, and what of that job it cannot set. */
import type { Trainer } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { datasetName } from "../../../lib/job-config-text";
import { clean, displayName } from "../../../lib/text";
import { jobHref } from "../../../router";
import { jobById } from "../../../store/jobs";
import { draftedFrom, draftParent, dropParent } from "../../../store/trainer-draft";
import { Button } from "../../../ui/controls/button";

export function Origin({ trainer }: { trainer: Trainer }) {
  const id = draftedFrom(trainer);
  if (id === undefined) return null;
  const parent = draftParent(trainer);
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
      {parent && (
        <>
          {" "}
          The next run starts from its step {number(parent.step)}, with a fresh optimizer.{" "}
          <Button small kind="quiet" onClick={() => dropParent(trainer)}>
            Start from the base model
          </Button>
        </>
      )}
    </p>
  );
}
