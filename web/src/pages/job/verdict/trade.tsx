/** What was gained at the task and lost in general, as an arrow in a plane of both losses. */
import type { Part } from "./figures";
import { HEIGHT, INSIDE, type Plane, type Point, planeOf, WIDTH } from "./plane";

const HEAD = 7;

/** Draws nothing if a figure is missing, or the parts are not losses in the same unit. */
export function Trade({ parts }: { parts: readonly Part[] }) {
  const plane = planeOf(parts);
  if (!plane) return null;
  const { base, adapter, bars, arrow, xTicks, yTicks, label } = plane;
  const { left, right, top, bottom } = INSIDE;
  return (
    <figure class="job-trade num">
      <figcaption>
        Both losses at once: further left is better at your task, further down is better in general. The bars
        are the intervals of the change from the base.
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
          {xTicks.map(({ at, label: said }) => (
            <text key={at} x={at} y={bottom + 16} text-anchor="middle">
              {said}
            </text>
          ))}
          {yTicks.map(({ at, label: said }) => (
            <text key={at} x={left - 6} y={at + 4} text-anchor="end">
              {said}
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
        <g class="job-trade-bars">
          <line x1={bars.left} x2={bars.right} y1={adapter.y} y2={adapter.y} />
          <line x1={adapter.x} x2={adapter.x} y1={bars.top} y2={bars.bottom} />
        </g>
        <circle class="job-trade-from" cx={base.x} cy={base.y} r="5" />
        <circle class="job-trade-to" cx={adapter.x} cy={adapter.y} r="5" />
        <Names plane={plane} />
      </svg>
    </figure>
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
