/** The running job: four figures, and the chart. The job's page has the rest. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Chart } from "../../chart/chart";
import type { Track } from "../../chart/series";
import { DEFAULTS } from "../../chart/settings";
import type { Evaluation, Job } from "../../contract.gen";
import type { Run } from "../../events/run";
import { useStream } from "../../events/use-stream";
import { now } from "../../lib/clock";
import { clock, duration, loss, number } from "../../lib/format";
import { isObject } from "../../lib/json";
import { late } from "../../lib/late";
import { clean, displayName } from "../../lib/text";
import { queueWords } from "../../store/queue";
import { ErrorNote } from "../../ui/empty";
import { statusWord } from "../../ui/status";
import { LazyEdited } from "../job/edited/lazy";
import { lossOf } from "../job/progress/own-figures";
import { jobTimeLeft, lastFinite, phaseWords, shortDuration } from "../job/progress/pace";
import { isActive, originOf, ranFor, statusOf, stepsOf } from "../job/state";

const HEIGHT = 260;

const useAnswers = late(() => import("../job/answers"));
const useVerdict = late(() => import("./verdict"));

export function LiveJob({
  id,
  job,
  children,
}: {
  id: string;
  job: Job | undefined;
  children?: ComponentChildren;
}) {
  const stream = useStream(id);
  const [zoom, setZoom] = useState(DEFAULTS.zoom);
  const { run } = stream;
  void stream.version.value;
  const status = statusOf(job, run);
  const { step, total } = stepsOf(job, run);
  const seen = lastFinite(run.rows.loss);
  const value = Number.isFinite(seen) ? seen : job?.metrics?.loss;
  const active = isActive(status);
  const answers = useAnswers(active && run.answers.length > 0);
  const evaluation = active && isObject(job?.evaluation) ? (job.evaluation as Evaluation) : undefined;
  const verdict = useVerdict(evaluation !== undefined);
  const failure = status === "failed" ? (job?.error ?? run.error) : null;
  const origin = originOf(job, run);
  const track = (key: Track["metric"], label: string, tone: string): Track => ({
    key,
    label,
    rows: run.rows,
    metric: key,
    origin,
    tone,
  });
  return (
    <div class="home-now">
      {/* The answers that illustrate it are still being generated. */}
      {evaluation && verdict && (
        <div class="home-result-head">
          <verdict.VerdictHead evaluation={evaluation} />
        </div>
      )}
      {(active || run.rows.length > 0) && (
        <dl class="figures home-metrics num">
          <Figure name="Loss" value={loss(value)} />
          <Figure
            name="Step"
            value={step === null ? "–" : number(step)}
            after={total === null ? "" : `/ ${number(total)}`}
          >
            {total !== null && <progress max={total} value={step ?? 0} aria-label="Steps done" />}
          </Figure>
          <Figure name="Phase" value={status === "running" ? phaseWords(run) : statusWord(status)} words />
          {active ? (
            <TimeLeft job={job} run={run} total={total} status={status} />
          ) : (
            <Figure name="Took" value={duration(ranFor(job, run, now.value))} />
          )}
        </dl>
      )}
      <LazyEdited job={job} step={step} status={status} />
      {failure && <ErrorNote title="The job failed" error={failure} />}
      {(active || run.rows.length > 0) && (
        <div class="home-curve">
          <Chart
            label={`${run.measure} of ${displayName(job?.name ?? id)}`}
            tracks={[
              track("loss", `training ${lossOf(run)}`, "--accent"),
              ...(run.evaluated ? [track("evalLoss", `eval ${lossOf(run)}`, "--second")] : []),
            ]}
            settings={{ ...DEFAULTS, zoom }}
            onZoom={setZoom}
            height={HEIGHT}
            until={active ? (total ?? undefined) : undefined}
            empty={waitWords(job, run, status)}
          />
        </div>
      )}
      {active && answers && (
        <answers.Pair id={id} job={job} run={run} version={stream.version.value} status={status} most={1} />
      )}
      {children && <div class="home-now-actions">{children}</div>}
    </div>
  );
}

function waitWords(job: Job | undefined, run: Run, status: string): string {
  if (status === "queued") return job ? queueWords(job) : "Queued";
  return isActive(status)
    ? clean(run.progress?.label, 200) || "The curve begins with the first step."
    : "No step was logged.";
}

function Figure({
  name,
  value,
  after,
  note,
  words,
  children,
}: {
  name: string;
  value: string;
  after?: string;
  note?: string;
  words?: boolean;
  children?: ComponentChildren;
}) {
  return (
    <div title={note}>
      <dt>{name}</dt>
      <dd class={words ? "home-phase" : ""}>
        {value} {after && <small>{after}</small>}
        {children}
      </dd>
    </div>
  );
}

function TimeLeft({
  job,
  run,
  total,
  status,
}: {
  job: Job | undefined;
  run: Run;
  total: number | null;
  status: string;
}) {
  if (status !== "running")
    return <Figure name="Time left" value="–" note={job && status === "queued" ? queueWords(job) : ""} />;
  const remaining = jobTimeLeft(run, total, now.value - run.behind);
  return "ms" in remaining ? (
    <Figure
      name="Time left"
      value={shortDuration(remaining.ms)}
      note={`done about ${clock(now.value + remaining.ms, false)}`}
    />
  ) : (
    <Figure name="Time left" value="–" note={remaining.why} />
  );
}
