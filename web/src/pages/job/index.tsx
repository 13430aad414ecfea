/** One job: its metrics, its chart, its events and its configuration. */
import { useEffect, useRef, useState } from "preact/hooks";
import { historyLoaded, useStream } from "../../events/use-stream";
import { displayName } from "../../lib/text";
import { route } from "../../router";
import { setTitle } from "../../store/document-title";
import { jobById, jobsState, refreshJobs } from "../../store/jobs";
import { announce } from "../../ui/controls/live";
import { Empty } from "../../ui/empty";
import { statusWord } from "../../ui/status";
import { CorrectionsPlace } from "./corrections-place";
import { JobCurve } from "./curve";
import { Events } from "./events";
import { ExportsPlace } from "./exports-place";
import { Facts } from "./facts";
import { Head } from "./head";
import { Notices } from "./notices";
import { useRunAgain } from "./run-again";
import { Notes } from "./said";
import { isActive, statusOf } from "./state";
import { Strip } from "./strip";
import { VerdictPlace } from "./verdict-place";
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
  // The run is one object that changes in place; `version` renders the components that read it again.
  const version = stream.version.value;
  const status = statusOf(job, run);
  const name = displayName(job?.name ?? id);
  useEffect(() => setTitle(name), [name]);
  useEnding(status, name);
  const again = useRunAgain(job);
  const held = useHeldBack(version === 0 && stream.state.value === "loading");
  if (stream.state.value === "missing" && job === undefined && jobsState.value.loaded)
    return <Missing id={id} />;
  return (
    <article class="job" data-focus-next="h1">
      <Head id={id} job={job} run={run} version={version} status={status} again={again} />
      <Notices job={job} stream={stream} version={version} status={status} />
      {!held && (
        <>
          <Strip job={job} run={run} version={version} status={status} />
          <VerdictPlace job={job} run={run} version={version} status={status} />
          <JobCurve id={id} job={job} run={run} version={version} status={status} />
          <ExportsPlace job={job} status={status} />
          <CorrectionsPlace job={job} status={status} />
          {job && <Notes job={job} />}
          <div class="job-below">
            <Events records={run.records} version={version} name={name} />
            <Facts
              id={id}
              job={job}
              run={run}
              branch={again.change}
              version={`${run.startedAt} ${run.checkpoints.length} ${run.artifacts.length}`}
            />
          </div>
        </>
      )}
    </article>
  );
}

/** True for a moment while `waiting`: a history that comes soon is drawn at once, without a skeleton before it. */
function useHeldBack(waiting: boolean): boolean {
  const [patient, setPatient] = useState(true);
  useEffect(() => {
    const timer = setTimeout(() => setPatient(false), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return patient && waiting;
}

/** Announces the end once, and refreshes the list, which is slower than the events. */
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
