/** One job: while it runs, its curve; once it is done, its verdict, its answers beside the curve, and its exports. */
import { useEffect, useRef, useState } from "preact/hooks";
import { historyLoaded, useStream } from "../../events/use-stream";
import { displayName } from "../../lib/text";
import { route } from "../../router";
import { setTitle } from "../../store/document-title";
import { isReported } from "../../store/job";
import { jobById, jobsState, refreshJobs } from "../../store/jobs";
import { announce } from "../../ui/controls/live";
import { Empty } from "../../ui/empty";
import { statusWord } from "../../ui/status";
import { Checkpoints } from "./checkpoints";
import { Details } from "./details";
import { Header } from "./header";
import { Notes } from "./header/notes";
import { useRunAgain } from "./header/run-again";
import {
  LazyAnswers,
  LazyCertificate,
  LazyContradictions,
  LazyCorrections,
  LazyExports,
  LazyPreferences,
  LazyRollouts,
  LazyVerdict,
} from "./lazy";
import { Notices } from "./notices";
import { JobCurve, useJobChart } from "./progress/curve";
import { Figures } from "./progress/figures";
import { isActive, type JobNow, statusOf } from "./state";
import "./job.css";

const PATIENCE_MS = 150;

export const ready = (): Promise<void> => historyLoaded(route.peek().id);

export default function JobPage() {
  const { id } = route.value;
  return <JobView key={id} id={id} />;
}

function JobView({ id }: { id: string }) {
  const stream = useStream(id);
  const job = jobById(id);
  const { run } = stream;
  // The run is one object that changes in place; `version` re-renders the components that read it.
  const version = stream.version.value;
  const status = statusOf(job, run);
  const last = useRef(job?.name);
  if (job) last.current = job.name;
  const name = displayName(last.current ?? id);
  const chart = useJobChart();
  useEffect(() => setTitle(name), [name]);
  useEnding(status, name);
  const again = useRunAgain(job);
  const held = useHeldBack(version === 0 && stream.state.value === "loading");
  if (job === undefined && jobsState.value.loaded) {
    if (last.current !== undefined) return <Deleted name={name} />;
    if (stream.state.value === "missing") return <Missing id={id} />;
  }
  const now: JobNow = { id, job, run, version, status };
  const reported = isReported(job);
  const done = status === "completed" && !reported;
  const answers = <LazyAnswers key="answers" {...now} chart={chart} />;
  return (
    <article class="job" data-focus-next="h1">
      <Header {...now} again={again} />
      <Notices job={job} stream={stream} version={version} status={status} />
      {!held && [
        !isActive(status) && !reported && <LazyVerdict key="verdict" {...now} />,
        done && <LazyPreferences key="preferences" job={job} />,
        <div key="both" class="job-both">
          {done && answers}
          <section key="training" class="job-training" aria-label="Training">
            <Figures {...now} />
            <JobCurve {...now} chart={chart} />
          </section>
        </div>,
        done && [
          <LazyCertificate key="certificate" {...now} />,
          <LazyExports key="exports" job={job} />,
          <LazyCorrections key="corrections" job={job} />,
          <LazyContradictions key="contradictions" {...now} />,
        ],
        <LazyRollouts key="rollouts" {...now} />,
        status !== "completed" && answers,
        <Checkpoints key="checkpoints" {...now} branch={again.change} />,
        job && <Notes key="notes" job={job} />,
        <Details key="details" {...now} chart={chart} />,
      ]}
    </article>
  );
}

/** True for a moment while `waiting`: a history that arrives soon is drawn without a skeleton before it. */
function useHeldBack(waiting: boolean): boolean {
  const [patient, setPatient] = useState(true);
  useEffect(() => {
    const timer = setTimeout(() => setPatient(false), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return patient && waiting;
}

/** Announces the end once, and refreshes the list, which lags behind the events. */
function useEnding(status: string, name: string): void {
  const before = useRef(status);
  useEffect(() => {
    if (before.current === status) return;
    const ended = isActive(before.current) && !isActive(status);
    before.current = status;
    void refreshJobs();
    if (ended) announce(`${name}: ${statusWord(status)}`);
  }, [status]);
}

/** In another tab, or by another program, while its page was open. */
function Deleted({ name }: { name: string }) {
  return (
    <>
      <h1 tabIndex={-1} class="visually-hidden">
        Job deleted
      </h1>
      <Empty title="This job was deleted" action={<a href="#/jobs">See all jobs</a>}>
        {name} is no longer in this project.
      </Empty>
    </>
  );
}

function Missing({ id }: { id: string }) {
  return (
    <>
      <h1 tabIndex={-1} class="visually-hidden">
        Job not found
      </h1>
      <Empty title="No job has this id" action={<a href="#/jobs">See all jobs</a>}>
        <span class="mono">{displayName(id)}</span> is not in this project. It may belong to another project
        or account.
      </Empty>
    </>
  );
}
