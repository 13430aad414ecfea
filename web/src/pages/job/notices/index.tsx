/** Notices above the chart: an error in full, a reconnecting stream, the progress of downloading a model. */
import type { Job } from "../../../contract.gen";
import type { Progress, Run } from "../../../events/run";
import type { JobStream } from "../../../events/stream";
import { bytes } from "../../../lib/format";
import { clean, displayName } from "../../../lib/text";
import { jobHref } from "../../../router";
import { queueWords } from "../../../store/queue";
import { ErrorNote } from "../../../ui/empty";
import { LazyEdited } from "../edited/lazy";
import { stepsOf } from "../state";
import { PauseNotice } from "./pause-notice";

interface Props {
  job: Job | undefined;
  stream: JobStream;
  version: number;
  status: string;
}

export function Notices({ job, stream, status }: Props) {
  const { run } = stream;
  const error = run.error || job?.error;
  const state = stream.state.value;
  return (
    <>
      {status === "failed" && (
        <ErrorNote title="The training failed" error={error || "The backend gave no reason."} />
      )}
      {state === "reconnecting" && (
        <p class="job-notice job-late" role="status">
          Reconnecting to the event stream; what is shown may be behind.{" "}
          {stream.trouble.value && <span class="dim">{clean(stream.trouble.value, 300)}</span>}
        </p>
      )}
      {run.rising && (
        <p class="job-notice job-rising" role="status">
          {clean(run.rising, 400)}
        </p>
      )}
      <PauseNotice job={job} run={run} status={status} />
      <LazyEdited job={job} step={stepsOf(job, run).step} status={status} />
      {status === "queued" && job?.queue?.reason !== undefined ? (
        <p class="job-notice" role="status">
          <strong>Waiting for resources.</strong> {clean(job.queue.reason, 1000)}. Later jobs may start first.
        </p>
      ) : (
        run.rows.length === 0 && run.outcome === null && <Waiting status={status} job={job} run={run} />
      )}
    </>
  );
}

function Waiting({ status, job, run }: { status: string; job: Job | undefined; run: Run }) {
  if (run.progress) return <ModelProgress progress={run.progress} />;
  if (status !== "queued") return null;
  const behind = job?.queue?.behind;
  return (
    <p class="job-notice">
      {job?.queue ? `${queueWords({ queue: { ...job.queue, behind: null } })}. ` : "Queued. "}
      {job?.queue?.held === true && (
        <>
          The queue is held: <a href="#/jobs">resume it</a> to start this job.{" "}
        </>
      )}
      {behind ? (
        <>
          It starts after <a href={jobHref(behind.id)}>{displayName(behind.name)}</a>.
        </>
      ) : (
        "Starts when the jobs before it are done."
      )}
    </p>
  );
}

function ModelProgress({ progress: { label, done, total } }: { progress: Progress }) {
  const part = total !== null && total > 0 ? Math.min(1, done / total) : null;
  const sized = done > 100_000 || (total ?? 0) > 100_000;
  const amount =
    total === null
      ? sized
        ? bytes(done)
        : ""
      : sized
        ? `${bytes(done)} of ${bytes(total)}`
        : `${done} of ${total}`;
  return (
    <div class="job-notice">
      <span>{clean(label, 200) || "Preparing the model"}</span> <span class="dim num">{amount}</span>
      {part !== null && (
        <span
          class="job-bar"
          role="progressbar"
          aria-label={clean(label, 100) || "Preparing the model"}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(100 * part)}
        >
          <span style={{ width: `${100 * part}%` }} />
        </span>
      )}
    </div>
  );
}
