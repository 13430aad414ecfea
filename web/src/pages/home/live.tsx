/** The running job: a small curve with loss, step and time left. The job's page has the rest. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { extent } from "../../chart/data/curve";
import { Smoothing } from "../../chart/data/ema";
import { pathOf } from "../../chart/geometry/path";
import { linearScale, padded } from "../../chart/geometry/scale";
import type { Job } from "../../contract.gen";
import { Numbers } from "../../events/number-array";
import type { Rows } from "../../events/rows";
import type { Run } from "../../events/run";
import { useStream } from "../../events/use-stream";
import { now } from "../../lib/clock";
import { clock, duration, loss, number } from "../../lib/format";
import { displayName } from "../../lib/text";
import { jobHref } from "../../router";
import { queueWords } from "../../store/queue";
import { smallLetters } from "../../ui/text-size";
import { lastFinite, shortDuration, timeLeft } from "../job/pace";
import { isActive, ranFor, statusOf, stepsOf } from "../job/state";

const HEIGHT = 72;
/** From this many points on, the moving average is drawn over the curve. */
const SMOOTH_FROM = 100;
const WEIGHT = 0.8;

export function LiveJob({
  id,
  job,
  children,
}: {
  id: string;
  job: Job | undefined;
  children: ComponentChildren;
}) {
  const stream = useStream(id);
  const { run } = stream;
  const version = stream.version.value;
  const status = statusOf(job, run);
  const { step, total } = stepsOf(job, run);
  const seen = lastFinite(run.rows.loss);
  const value = Number.isFinite(seen) ? seen : job?.metrics?.loss;
  return (
    <div class="home-now">
      <dl class="home-metrics num">
        <Figure name="Loss" value={loss(value)} />
        <Figure
          name="Step"
          value={step === null ? "–" : number(step)}
          after={total === null ? "" : `/ ${number(total)}`}
        />
        {isActive(status) ? (
          <Left job={job} run={run} total={total} status={status} />
        ) : (
          <Figure name="Took" value={duration(ranFor(job, run, now.value))} />
        )}
      </dl>
      <Curve
        id={id}
        name={displayName(job?.name ?? id)}
        rows={run.rows}
        version={version}
        total={total}
        waits={waitWords(job, run, status)}
      />
      <div class="home-now-actions">{children}</div>
    </div>
  );
}

function waitWords(job: Job | undefined, run: Run, status: string): string {
  if (status === "queued") return job ? queueWords(job) : "Queued";
  return isActive(status)
    ? run.progress?.label || "The curve begins with the first step."
    : "No step was logged.";
}

function Figure({
  name,
  value,
  after,
  note,
}: {
  name: string;
  value: string;
  after?: string;
  note?: string;
}) {
  return (
    <div title={note}>
      <dt>{name}</dt>
      <dd>
        {value} {after && <small>{after}</small>}
      </dd>
    </div>
  );
}

function Left({
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
  const left = timeLeft(run.rows, total, now.value - run.behind);
  return "ms" in left ? (
    <Figure
      name="Time left"
      value={shortDuration(left.ms)}
      note={`done about ${clock(now.value + left.ms, false)}`}
    />
  ) : (
    <Figure name="Time left" value="–" note={left.why} />
  );
}

interface CurveProps {
  id: string;
  name: string;
  rows: Rows;
  version: number;
  total: number | null;
  waits: string;
}

/** The whole panel is a link to the job's full chart. */
function Curve({ id, name, rows, total, waits }: CurveProps) {
  const box = useRef<HTMLAnchorElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const node = box.current;
    if (!node) return undefined;
    const observer = new ResizeObserver(() => setWidth(node.clientWidth));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  const lines = drawn(rows, total, width);
  const label = lines
    ? `Loss of ${name}, from ${loss(lines.high)} at most to ${loss(lines.low)} at least`
    : `Loss of ${name}`;
  return (
    <a ref={box} class="home-curve" href={jobHref(id)} title="Open job">
      <span class="visually-hidden">{label}</span>
      {lines ? (
        <svg width={width} height={HEIGHT} aria-hidden="true" focusable="false">
          {lines.paths.map(({ kind, d }) => (
            <path key={kind} class={`home-curve-${kind}`} d={d} />
          ))}
          {lines.dots.map(([x, y]) => (
            <circle key={`${x} ${y}`} class="home-curve-dot" cx={x} cy={y} r="2" />
          ))}
        </svg>
      ) : (
        <span class="hint">{waits}</span>
      )}
      {lines && (
        <span class="home-curve-ends hint num" aria-hidden="true">
          <span>{loss(lines.high)}</span>
          <span>{loss(lines.low)}</span>
        </span>
      )}
    </a>
  );
}

interface Drawn {
  low: number;
  high: number;
  paths: { kind: "raw" | "mean" | "eval"; d: string }[];
  dots: [x: number, y: number][];
}

const LABELS = 52;

/** Null until there is a point. The axis extends to the last planned step. */
function drawn(rows: Rows, total: number | null, width: number): Drawn | null {
  if (width <= LABELS * smallLetters.value) return null;
  const [losses, evals] = [pointsOf(rows, rows.loss), pointsOf(rows, rows.evalLoss)];
  const [low, high] = both(bounds(losses), bounds(evals));
  if (!(low <= high)) return null;
  const from = rows.step.at(0);
  const x = linearScale(
    from,
    Math.max(total ?? 0, rows.step.last(), from + 1),
    3,
    width - LABELS * smallLetters.value,
  );
  const y = linearScale(...padded(low, high, "linear"), HEIGHT - 3, 3);
  const paths: Drawn["paths"] = [];
  const dots: Drawn["dots"] = [];
  const add = (kind: Drawn["paths"][number]["kind"], points: Points, ys = points.ys): void => {
    const path = pathOf({ xs: points.xs.view(), ys: ys.view(), length: points.xs.length }, x, y);
    if (path.d) paths.push({ kind, d: path.d });
    dots.push(...path.dots);
  };
  if (losses.xs.length >= SMOOTH_FROM) {
    const mean = new Smoothing(WEIGHT);
    mean.extend(losses.ys);
    add("raw", losses);
    add("mean", losses, mean.values);
  } else add("mean", losses);
  add("eval", evals);
  return { low, high, paths, dots };
}

interface Points {
  xs: Numbers;
  ys: Numbers;
}

function pointsOf(rows: Rows, values: Rows["loss"]): Points {
  const points = { xs: new Numbers(), ys: new Numbers() };
  let last = -Infinity;
  for (let row = 0; row < rows.length; row++) {
    const value = values.at(row);
    // A run that resumed from a checkpoint repeats steps: the later value counts.
    if (value !== value || rows.step.at(row) < last) continue;
    last = rows.step.at(row);
    points.xs.push(last);
    points.ys.push(value);
  }
  return points;
}

const bounds = ({ ys }: Points): [number, number] => extent(ys.view(), 0, ys.length, false);
const both = (a: readonly number[], b: readonly number[]): [number, number] => [
  Math.min(a[0]!, b[0]!),
  Math.max(a[1]!, b[1]!),
];
