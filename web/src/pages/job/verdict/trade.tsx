/** What was gained at the task and lost in general, in a plane of both losses; at several strengths, once measured. */
import type { Evaluation, Job } from "../../../contract.gen";
import { href } from "../../../router";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";
import type { Part } from "./figures";
import {
  type AtStrength,
  bestKept,
  HEIGHT,
  INSIDE,
  type Plane,
  type Point,
  percent,
  planeOf,
  strengthsOf,
  WIDTH,
} from "./plane";
import { progressOf, useEvaluating } from "./use-evaluating";
import "./trade.css";

const HEAD = 7;
const STRENGTHS = { strengths: true };

/** Draws nothing if a figure is missing, or the parts are not losses in the same unit. */
export function Trade({ job, parts }: { job: Job; parts: readonly Part[] }) {
  const strengths = strengthsOf(job.evaluation as Evaluation);
  const plane = planeOf(parts, strengths);
  if (!plane) return null;
  const { base, adapter, bars, points, arrow, xTicks, yTicks, label } = plane;
  const { left, right, top, bottom } = INSIDE;
  return (
    <figure class="job-trade num">
      <figcaption>
        Both losses at once: further left is better at your task, further down is better in general. The bars
        are the intervals of the change from the base.
        {points.length > 0 && " The curve is the adapter at other strengths."}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
        <g class="job-trade-grid">
          {xTicks.map(({ at }) => (
            <line key={at} x1={at} x2={at} y1={top} y2={bottom} />
          ))}
          {yTicks.map(({ at }) => (
            <line key={at} x1={left} x2={right} y1={at} y2={at} />
          ))}
        </g>
        <g class="job-trade-base">
          <line x1={base.x} x2={base.x} y1={top} y2={bottom} />
          <line x1={left} x2={right} y1={base.y} y2={base.y} />
        </g>
        <g class="job-trade-ticks">
          {xTicks.map(({ at, label: tickLabel }) => (
            <text key={at} x={at} y={bottom + 16} text-anchor="middle">
              {tickLabel}
            </text>
          ))}
          {yTicks.map(({ at, label: tickLabel }) => (
            <text key={at} x={left - 6} y={at + 4} text-anchor="end">
              {tickLabel}
            </text>
          ))}
          <text x="0" y="12">
            General loss
          </text>
          <text x={right} y={HEIGHT - 6} text-anchor="end">
            Task loss, nats per token
          </text>
        </g>
        {arrow && <Arrow {...arrow} />}
        {points.length > 0 && <Curve plane={plane} />}
        <g class="job-trade-bars">
          <line x1={bars.left} x2={bars.right} y1={adapter.y} y2={adapter.y} />
          <line x1={adapter.x} x2={adapter.x} y1={bars.top} y2={bars.bottom} />
        </g>
        <circle class="job-trade-from" cx={base.x} cy={base.y} r="5" />
        <circle class="job-trade-to" cx={adapter.x} cy={adapter.y} r="5" />
        <Names plane={plane} />
      </svg>
      {strengths.length > 0 ? (
        <Meaning id={job.id} parts={parts} strengths={strengths} />
      ) : (
        features.value.has("strengths") && <Dial id={job.id} />
      )}
    </figure>
  );
}

/** The losses at several strengths, between base and adapter. */
function Curve({ plane: { base, adapter, points } }: { plane: Plane }) {
  const line = [base, ...points, adapter].map(({ x, y }) => `${x},${y}`).join(" ");
  return (
    <g class="job-trade-curve">
      {points.map(({ x, y, strength }) => (
        <text key={strength} x={x - 6} y={y + 14} text-anchor="end">
          {percent(strength)}
        </text>
      ))}
      <polyline points={line} />
      {points.map(({ x, y, strength }) => (
        <circle key={strength} cx={x} cy={y} r="3.5" />
      ))}
    </g>
  );
}

interface MeaningProps {
  id: string;
  parts: readonly Part[];
  strengths: readonly AtStrength[];
}

/** What the curve says, and how to use the strength. */
function Meaning({ id, parts, strengths }: MeaningProps) {
  const best = bestKept(parts, strengths);
  if (typeof best === "string") return <p class="job-trade-text">{best}</p>;
  const at = percent(best.strength);
  return (
    <p class="job-trade-text">
      At {at} strength it keeps {Math.round(best.gain)} % of the gain for {Math.max(0, Math.round(best.harm))}{" "}
      % of the harm.{" "}
      <a href={href("/playground", { target: `final*${best.strength}:${id}` })}>Try it at {at} strength</a> or
      export it with <code>{`--strength ${best.strength}`}</code>.
    </p>
  );
}

/** Measures the curve: as many readings of the verdict's rows as there are strengths. */
function Dial({ id }: { id: string }) {
  const { evaluating, error, changed, ask } = useEvaluating(id, "Measured at several strengths", STRENGTHS);
  return (
    <>
      {error && <ErrorNote error={error} />}
      <p class="job-trade-text num">
        {evaluating ? (
          progressOf(evaluating)
        ) : (
          <Button small onClick={() => ask(changed)}>
            {changed ? "Measure anyway" : "Measure other strengths"}
          </Button>
        )}
      </p>
    </>
  );
}

function Arrow({ from, to }: { from: Point; to: Point }) {
  const turn = (180 * Math.atan2(to.y - from.y, to.x - from.x)) / Math.PI;
  return (
    <g class="job-trade-arrow">
      <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
      <path
        d={`M${-HEAD} ${-HEAD / 2}L0 0L${-HEAD} ${HEAD / 2}`}
        transform={`translate(${to.x} ${to.y}) rotate(${turn})`}
      />
    </g>
  );
}

/** The upper point has its name above it, the lower one below. */
function Names({ plane: { base, adapter, bars } }: { plane: Plane }) {
  const lost = adapter.y <= base.y;
  const [above, below] = [bars.top - 8, bars.bottom + 17];
  const inside = (x: number): number => Math.min(Math.max(x, INSIDE.left + 26), INSIDE.right - 26);
  return (
    <g class="job-trade-names">
      <text x={inside(base.x)} y={lost ? base.y + 20 : base.y - 11} text-anchor="middle">
        Base
      </text>
      <text
        x={inside(adapter.x)}
        y={lost ? Math.min(above, adapter.y - 11) : Math.max(below, adapter.y + 20)}
        text-anchor="middle"
      >
        Adapter
      </text>
    </g>
  );
}
