/** A start from a checkpoint is requested once; but one whose job fails is offered again. */
import { effect } from "@preact/signals";
import type { RequestedParent, Trainer } from "../../contract.gen";
import { isOver, jobs } from "../../store/jobs";
import { draftParent, dropParent, setParent } from "../../store/trainer-draft";

const begun = new Map<string, { trainer: Trainer; parent: RequestedParent }>();
let watching = false;

/** Its job was created: the next press starts an ordinary run. */
export function branchBegan(jobId: string, trainer: Trainer): void {
  const parent = draftParent(trainer);
  if (!parent) return;
  dropParent(trainer);
  begun.set(jobId, { trainer, parent });
  if (watching) return;
  watching = true;
  // Whatever page is open when it fails.
  effect(() => {
    for (const job of jobs.value) {
      const branch = begun.get(job.id);
      if (!branch || !isOver(job)) continue;
      begun.delete(job.id);
      if (job.status === "failed" && !draftParent(branch.trainer)) setParent(branch.trainer, branch.parent);
    }
  });
}
