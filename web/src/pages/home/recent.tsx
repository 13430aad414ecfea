import type { Job } from "../../contract.gen";
import { loss, number } from "../../lib/format";
import { displayName } from "../../lib/text";
import { href, jobHref } from "../../router";
import { jobs, jobsState, refreshJobs } from "../../store/jobs";
import { queueWords } from "../../store/queue";
import { DryMark } from "../../ui/dry";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { StatusDot } from "../../ui/status";
import { RelativeTime } from "../../ui/time";
import { StateMark } from "../../ui/verdict";
import { changesOf } from "../jobs/columns";
import { bySweep } from "../jobs/list";

const ROWS = 5;

export function Recent() {
  const list = bySweep(jobs.value, "");
  return (
    <section class="home-recent" aria-labelledby="home-recent">
      <header class="home-recent-head">
        <h2 id="home-recent">Recent jobs</h2>
        {list.length > 0 && <a href={href("/jobs")}>All {number(list.length)}</a>}
      </header>
      <Body list={list} />
      <p class="hint home-docs">
        <a href={href("/docs")}>Documentation</a>
      </p>
    </section>
  );
}

function Body({ list }: { list: readonly Job[] }) {
  const { loaded, error } = jobsState.value;
  if (list.length > 0) {
    return (
      <ul>
        {list.slice(0, ROWS).map((job) => (
          <Row key={job.id} job={job} />
        ))}
      </ul>
    );
  }
  if (error) return <ErrorNote title="Couldn't read jobs" error={error} retry={() => void refreshJobs()} />;
  if (!loaded) return <Skeleton lines={ROWS} height={18} />;
  return <p class="hint">Jobs appear here once one has started.</p>;
}

function Row({ job }: { job: Job }) {
  const { metrics } = job;
  const evaluation = job.status === "completed" ? job.evaluation : undefined;
  const changes = changesOf(job);
  const going = (job.status === "running" || job.status === "paused") && metrics?.step !== undefined;
  return (
    <li class="home-job">
      <a href={jobHref(job.id)} class="home-job-name" title={displayName(job.name)}>
        <bdi class="ellipsis">{displayName(job.name)}</bdi>
        <DryMark job={job} />
      </a>
      <span class="hint num">
        <RelativeTime at={job.createdAt} />
      </span>
      {evaluation?.verdict ? (
        <StateMark evaluation={evaluation} />
      ) : (
        <StatusDot status={job.status} label={job.status === "queued" ? queueWords(job) : undefined} />
      )}
      <span class="hint num">
        {going
          ? `step ${metrics.step}${metrics.totalSteps ? ` / ${metrics.totalSteps}` : ""}`
          : metrics?.bestEvalLoss !== undefined && metrics.bestEvalLoss !== null
            ? `eval ${loss(metrics.bestEvalLoss)}`
            : ""}
      </span>
      {changes && (
        <span class="hint home-job-changes ellipsis" title={changes}>
          {changes}
        </span>
      )}
    </li>
  );
}
