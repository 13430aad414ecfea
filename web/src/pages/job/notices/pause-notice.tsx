/** Where and why a job is paused, and where it resumed. */
import type { Job } from "../../../contract.gen";
import type { Run } from "../../../events/run";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { openDisk } from "../../jobs/open-disk";
import { isActive } from "../state";
import "./notices.css";

/** The meaning of a contract's reason, if the backend says no more. */
const WHY: Readonly<Record<string, string>> = {
  disk: "Not enough disk space to save a checkpoint. Resumes automatically once there is space.",
  battery: "The machine runs on battery. Resumes automatically on mains power.",
  ended: "The backend was stopped. Resumes automatically when it runs again.",
};

interface Props {
  job: Job | undefined;
  run: Run;
  status: string;
}

export function PauseNotice({ job, run, status }: Props) {
  if (status === "paused") return <Paused {...(run.pause ?? job?.pause ?? { step: NaN, reason: "" })} />;
  const { resumed } = run;
  if (!resumed || !isActive(status)) return null;
  return (
    <p class="job-notice">
      Resumed at step <span class="num">{number(resumed.step)}</span>
      {resumed.message ? `: ${clean(resumed.message, 500)}` : "."}
    </p>
  );
}

function Paused({ step, reason, message }: { step: number; reason: string; message?: string }) {
  const hint = features.value.has("resume") ? "Resume continues from there, with the same result." : "";
  const why = message ? clean(message, 500) : (WHY[reason] ?? hint);
  return (
    <p class={reason === "disk" ? "job-notice job-notice-warn" : "job-notice"} role="status">
      <strong>
        {Number.isFinite(step) ? (
          <>
            Paused after step <span class="num">{number(step)}</span>.
          </>
        ) : (
          "Paused."
        )}
      </strong>{" "}
      {why}
      {reason === "disk" && features.value.has("delete") && (
        <span class="job-notice-way">
          <Button small onClick={() => void openDisk()}>
            Disk use
          </Button>
        </span>
      )}
    </p>
  );
}
