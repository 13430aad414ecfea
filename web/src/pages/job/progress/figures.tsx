/** The four metrics of a run: loss, progress, time left and speed. */
import type { ComponentChildren } from "preact";
import type { Job } from "../../../contract.gen";
import { evalName, type Run } from "../../../events/run";
import { now } from "../../../lib/clock";
import { clock, day, duration, loss, number, time } from "../../../lib/format";
import { isActive, type JobNow, ranFor, stepsOf } from "../state";
import { jobTimeLeft, lastFinite, phaseWords, recentMean, shortDuration } from "./pace";

export function Figures({ job, run, version, status }: JobNow) {
  const { step, total } = stepsOf(job, run);
  return (
    <dl class={status === "completed" ? "figures job-strip job-strip-done num" : "figures job-strip num"}>
      <LossFigure job={job} run={run} version={version} />
      <Figure
        name="Step"
        value={step === null ? "–" : number(step)}
        after={total === null ? "" : `/ ${number(total)}`}
      >
        {status !== "completed" && <Bar step={step} total={total} />}
      </Figure>
      {isActive(status) ? (
        <TimeLeft run={run} version={version} total={total} status={status} />
      ) : (
        <Took job={job} run={run} version={version} />
      )}
      <Speed run={run} version={version} />
    </dl>
  );
}

function Figure({
  name,
  value,
  after,
  children,
}: {
  name: string;
  value: string;
  after?: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="job-metric">
      <dt>{name}</dt>
      <dd>
        <span class={value === "–" ? "job-metric-value job-metric-none" : "job-metric-value"}>
          {value} {after && <small>{after}</small>}
        </span>
        <span class="job-metric-note">{children}</span>
      </dd>
    </div>
  );
}

function LossFigure({ job, run }: { job: Job | undefined; run: Run; version: number }) {
  const measure = run.judged;
  if (measure) {
    const heldOut = lastFinite(run.rows.figure(evalName(measure.name)));
    return (
      <Figure name={measure.label} value={loss(lastFinite(run.rows.figure(measure.name)))}>
        {Number.isFinite(heldOut) && <>held-out rows {loss(heldOut)}</>}
      </Figure>
    );
  }
  const seen = lastFinite(run.rows.loss);
  const value = Number.isFinite(seen) ? seen : job?.metrics?.loss;
  const evalLoss = lastFinite(run.rows.evalLoss);
  const best = run.bestEvalLoss ?? run.bestLoss;
  return (
    <Figure name="Loss" value={loss(value)}>
      {Number.isFinite(evalLoss) && <>eval {loss(evalLoss)} · </>}
      {best && (
        <>
          best {run.bestEvalLoss ? "eval " : ""}
          {loss(best.value)} at step {number(best.step)}
        </>
      )}
    </Figure>
  );
}

function Bar({ step, total }: { step: number | null; total: number | null }) {
  if (step === null || total === null || total <= 0) return null;
  const part = Math.min(1, step / total);
  return (
    <span
      class="job-bar"
      role="progressbar"
      aria-label="Steps done"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={step}
    >
      <span style={{ width: `${100 * part}%` }} />
    </span>
  );
}

function TimeLeft({
  run,
  total,
  status,
}: {
  run: Run;
  version: number;
  total: number | null;
  status: string;
}) {
  const remaining = jobTimeLeft(run, total, now.value - run.behind);
  const known = status === "running" && "ms" in remaining;
  const outlook = known
    ? `done about ${clock(now.value + remaining.ms, false)}`
    : "why" in remaining
      ? remaining.why
      : "";
  const note = run.phase ? `${phaseWords(run)} · ${outlook}` : outlook;
  return (
    <Figure name="Time left" value={known ? shortDuration(remaining.ms) : "–"}>
      {status === "queued" ? "waits for its turn" : status === "paused" ? "paused" : note}
    </Figure>
  );
}

function Took({ job, run }: { job: Job | undefined; run: Run; version: number }) {
  const to = time(job?.completedAt) ?? run.endedAt;
  return (
    <Figure name="Took" value={duration(ranFor(job, run, NaN))}>
      {Number.isFinite(to) && `ended ${day(to)}, ${clock(to, false)}`}
    </Figure>
  );
}

function Speed({ run: { rows } }: { run: Run; version: number }) {
  const tokens = recentMean(rows.tokensPerSecond);
  const samples = recentMean(rows.samplesPerSecond);
  const bySample = !Number.isFinite(tokens) && Number.isFinite(samples);
  const mean = bySample ? samples : tokens;
  const known = Number.isFinite(mean);
  return (
    <Figure
      name={bySample ? "Samples/s" : "Tokens/s"}
      value={known ? number(mean >= 100 ? Math.round(mean) : Number(mean.toPrecision(3))) : "–"}
    >
      {known ? "mean of the last steps" : rows.length > 0 ? "not reported" : ""}
    </Figure>
  );
}
