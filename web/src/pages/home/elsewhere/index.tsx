/** A job that runs or is paused without a command of this launch: its curve, and why it continues or is paused. */
import type { Job } from "../../../contract.gen";
import { useStream } from "../../../events/use-stream";
import { displayName } from "../../../lib/text";
import { jobHref } from "../../../router";
import { jobs } from "../../../store/jobs";
import { isLive, runs } from "../../../store/runs";
import { StatusDot } from "../../../ui/status";
import { PauseNotice } from "../../job/notices/pause-notice";
import { statusOf } from "../../job/state";
import { LiveJob } from "../live";
import { foundJob } from "../open-run";

/** The running job, or (`paused`) the newest paused one; nothing while a command here shows its own. */
export function Elsewhere({ paused }: { paused: boolean }) {
  const known = runs.value;
  if (known === null || known.some(isLive)) return null;
  const own = new Set([foundJob.value, ...known.map(({ jobId }) => jobId)]);
  const foreign = jobs.value.filter(({ id }) => !own.has(id));
  const running = foreign.find(({ status }) => status === "running");
  const job = paused ? !running && foreign.find(({ status }) => status === "paused") : running;
  return job ? <ForeignJob key={job.id} job={job} /> : null;
}

function ForeignJob({ job }: { job: Job }) {
  const stream = useStream(job.id);
  void stream.version.value;
  const status = statusOf(job, stream.run);
  return (
    <section class="home-elsewhere" aria-labelledby="home-elsewhere">
      <h2 id="home-elsewhere">
        <a href={jobHref(job.id)}>
          <bdi>{displayName(job.name)}</bdi>
        </a>{" "}
        <StatusDot status={status} />
      </h2>
      <PauseNotice job={job} run={stream.run} status={status} />
      <LiveJob id={job.id} job={job}>
        <a class="ui-button ui-button-plain" href={jobHref(job.id)}>
          Open job
        </a>
      </LiveJob>
    </section>
  );
}
