/** The one next step that a job's verdict proposes. */
import type { Evaluation, Job } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { href } from "../../../router";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { stateOf } from "../../../ui/verdict";
import { openExtend } from "../header/open-extend";
import { canReplay, ReplayButton } from "../header/replay-button";

const STRENGTH = 50;

/** Whether what the model could do before is what the verdict is about; a task that got worse comes first. */
export const forgot = ({ verdict, heldOut }: Evaluation): boolean =>
  verdict === "mixed" || (verdict === "worse" && heldOut?.verdict !== "worse");

export function Remedy({ job, evaluation }: { job: Job; evaluation: Evaluation }) {
  const { extendTo } = evaluation;
  const state = stateOf(evaluation);
  if (state === "learning" && extendTo !== undefined && job.resumable !== undefined)
    return <Button onClick={() => void openExtend(job)}>Extend to {number(extendTo)} steps</Button>;
  if (state === "mixed" && features.value.has("strength"))
    return (
      <a
        class="ui-button ui-button-plain"
        href={href("/playground", { target: `final*${STRENGTH / 100}:${job.id}` })}
        title="A lower strength keeps a part of what was learned, and forgets less"
      >
        Try {STRENGTH} % strength
      </a>
    );
  if (forgot(evaluation) && canReplay(job)) return <ReplayButton job={job} />;
  if (state === "same" || state === "unclear" || state === "worse")
    return (
      <a class="ui-button ui-button-plain" href={href("/docs", { page: "fix-a-bad-run" })}>
        What to try next
      </a>
    );
  return null;
}
