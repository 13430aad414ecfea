/** The intervals of task and general ability, on one scale. */
import { toneOf } from "../../../ui/verdict";
import { type Part, scaleOf } from "./figures";

/** The part of the scale, in percent, that an end's label and half of the middle one occupy on a phone. */
const ROOM = 38;

const TOO_FEW = "too few rows";

/** One part per row: right of zero the adapter is better. `margin` is the largest difference that does not matter. */
export function Intervals({ parts, margin }: { parts: readonly Part[]; margin: number }) {
  if (parts.length === 0) return null;
  const at = scaleOf(parts);
  return (
    <div class="job-intervals num">
      {parts.map((part) => (
        <Interval key={part.name} part={part} at={at} margin={margin} />
      ))}
      <Axis zero={at(0)} />
    </div>
  );
}

interface IntervalProps {
  part: Part;
  at: (value: number) => number;
  margin: number;
}

function Interval({ part, at, margin }: IntervalProps) {
  const { name, tooFew, low, mean, high, confidence } = part;
  const tone = `var(${toneOf(part.verdict)})`;
  const [from, middle, to, zero] = [low, mean, high, 0].map((value) => `${at(value)}%`);
  const ends = `${low.toFixed(2)} to ${high.toFixed(2)}`;
  const interval = tooFew ? TOO_FEW : `${confidence} % interval ${ends}`;
  const label = `${name}: difference ${mean.toFixed(2)}, ${interval}; above zero the adapter is better`;
  return (
    <>
      <div class="job-interval-name">
        <span>{name}</span>
        <small>{tooFew ? TOO_FEW : ends}</small>
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
        <line
          class="job-interval-zero"
          x1={zero}
          x2={zero}
          y1="0"
          y2="30"
          style={{ stroke: "var(--line-strong)" }}
        />
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

/** The labels under the scale: "no difference" at zero, and those of the ends if there is room. */
function Axis({ zero }: { zero: number }) {
  return (
    <div class="job-interval-axis" aria-hidden="true">
      {zero > ROOM && <span style={{ left: 0 }}>← worse</span>}
      <span style={{ left: `${zero}%`, transform: "translateX(-50%)" }}>no difference</span>
      {zero < 100 - ROOM && <span style={{ right: 0 }}>better →</span>}
    </div>
  );
}
