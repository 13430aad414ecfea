/** Task and general ability beside each other: the verdict, both losses, and the interval of the difference. */
import type { Job } from "../../../contract.gen";
import { href } from "../../../router";
import { features } from "../../../store/features";
import { toneOf, VerdictMark } from "../../../ui/verdict";
import { type Part, scaleOf } from "./figures";

/** The part of the scale's width, in percent, that the word at an end of it takes on a phone. */
const ROOM = 16;

/** Each part in a row, all intervals on one scale: right of zero the adapter is better. */
export function Intervals({ job, parts, margin }: { job: Job; parts: readonly Part[]; margin: number }) {
  if (parts.length === 0) return null;
  const at = scaleOf(parts);
  return (
    <div class="job-intervals num">
      {parts.map((part) => (
        <Interval key={part.name} job={job} part={part} at={at} margin={margin} />
      ))}
      <Axis zero={at(0)} />
    </div>
  );
}

interface IntervalProps {
  job: Job;
  part: Part;
  at: (value: number) => number;
  margin: number;
}

function Interval({ job, part, at, margin }: IntervalProps) {
  const { name, low, mean, high, base, adapter, confidence } = part;
  const tone = `var(${toneOf(part.verdict)})`;
  const [from, middle, to, zero] = [low, mean, high, 0].map((value) => `${at(value)}%`);
  const label = `${name}: difference ${mean.toFixed(2)}, ${confidence} % interval ${low.toFixed(2)} to ${high.toFixed(2)}; above zero the adapter is better`;
  const half = name !== "In general" || part.verdict !== "worse" || !features.value.has("strength");
  return (
    <>
      <div class="job-interval-name">
        <span>{name}</span>
        <small>{part.count}</small>
      </div>
      <div class="job-interval-verdict">
        <VerdictMark verdict={part.verdict} />
        <span>
          loss {base} → {adapter}
        </span>
        {!half && (
          <a href={href("/playground", { target: `final*0.5:${job.id}` })}>Try it at 50 % strength</a>
        )}
      </div>
      <svg width="100%" height="30" role="img" aria-label={label}>
        <rect
          x={`${at(-margin)}%`}
          y="0"
          width={`${at(margin) - at(-margin)}%`}
          height="30"
          style={{ fill: "var(--line)" }}
        />
        <line x1="0" x2="100%" y1="15" y2="15" style={{ stroke: "var(--line)" }} />
        <line x1={zero} x2={zero} y1="0" y2="30" style={{ stroke: "var(--line-strong)" }} />
        <line
          x1={from}
          x2={to}
          y1="15"
          y2="15"
          stroke-width="4"
          stroke-linecap="round"
          style={{ stroke: tone }}
        />
        <circle cx={middle} cy="15" r="5" style={{ fill: tone }} />
      </svg>
    </>
  );
}

/** The words under the scale; "no difference" stands at the zero line, or begins or ends there near an edge. */
function Axis({ zero }: { zero: number }) {
  const [near, far] = [zero < 35, zero > 65];
  const shift = near ? "0" : far ? "-100%" : "-50%";
  return (
    <div class="job-interval-axis" aria-hidden="true">
      {zero > ROOM && <span style={{ left: 0 }}>← worse</span>}
      <span style={{ left: `${zero}%`, transform: `translateX(${shift})` }}>no difference</span>
      {zero < 100 - ROOM && <span style={{ right: 0 }}>better →</span>}
    </div>
  );
}
