/** Statistics of the visible range, one row per curve; computed when opened. */
import type { Signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { loss, number, rate } from "../lib/format";
import { clean } from "../lib/text";
import type { Line, Scene } from "./scene";
import { within } from "./series";
import { Swatch } from "./swatch";

const COLUMNS = 6;
const CI = "95 % confidence interval of the mean by Student's t, as if the points were independent";

export function ChartStatistics({ scene: { value: scene } }: { scene: Signal<Scene | null> }) {
  const [open, setOpen] = useState(false);
  const lines = (scene?.lines ?? []).filter(({ y, xs }) => y === scene!.y && xs.length > 0);
  if (lines.length === 0) return null;
  return (
    <details class="chart-statistics" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Statistics</summary>
      {open && (
        <div
          class="chart-statistics-table"
          role="region"
          aria-label="Statistics of the visible range"
          tabIndex={0}
        >
          <table class="num">
            <thead>
              <tr>
                <th scope="col">Visible range</th>
                <th scope="col">Points</th>
                <th scope="col">
                  <abbr title={CI}>Mean ± 95 % CI</abbr>
                </th>
                <th scope="col">Std dev</th>
                <th scope="col">Variance</th>
                <th scope="col">p90</th>
                <th scope="col">p95</th>
              </tr>
            </thead>
            <tbody>
              {lines.map((line) => (
                <Row key={line.track.key} line={line} scene={scene!} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

function Row({ line: { xs, ys, track }, scene }: { line: Line; scene: Scene }) {
  const cells = statisticsCells(ys.slice(...within(xs, scene.x.from, scene.x.to)), track.metric);
  if (!cells) return null;
  return (
    <tr>
      <th scope="row">
        <Swatch {...track} /> {clean(track.label, 80)}
      </th>
      {cells.map((text, column) => (
        <td key={column} {...(column === cells.length - 1 ? { colSpan: COLUMNS - column } : {})}>
          {text}
        </td>
      ))}
    </tr>
  );
}

/** The cells of a curve's row; null if no value is finite. The last one may span the rest. */
export function statisticsCells(values: readonly number[], metric: string): readonly string[] | null {
  const stats = statistics(values);
  if (stats === null) return null;
  const { count, mean, ci, sd, p90, p95 } = stats;
  const words = metric === "lr" ? rate : loss;
  // The spread and quantiles of a single value would only look informative.
  if (count === 1 || sd === 0) return [number(count), words(mean), count === 1 ? "one value" : "constant"];
  return [
    number(count),
    `${words(mean)} ± ${words === rate ? rate(ci) : confidenceText(mean, ci)}`,
    words(sd),
    words(sd ** 2),
    words(p90),
    words(p95),
  ];
}

/** With the mean's decimals, unless that would round it to zero. */
function confidenceText(mean: number, ci: number): string {
  const words = loss(mean);
  const decimals = words.split(".")[1]?.length ?? 0;
  const text = ci.toFixed(decimals);
  return words.includes("e") || (Number(text) === 0 && ci > 0) ? loss(ci) : text;
}

interface Statistics {
  count: number;
  mean: number;
  /** Half the width of the 95 % confidence interval of the mean, as if the points were independent; NaN for one point. */
  ci: number;
  /** Sample standard deviation; NaN for one point. */
  sd: number;
  p90: number;
  p95: number;
}

/** Of the finite values; null without any. */
export function statistics(values: readonly number[]): Statistics | null {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const count = sorted.length;
  if (count === 0) return null;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const sd = count > 1 ? Math.sqrt(squares / (count - 1)) : NaN;
  const ci = count > 1 ? (student95(count - 1) * sd) / Math.sqrt(count) : NaN;
  return { count, mean, ci, sd, p90: quantile(sorted, 0.9), p95: quantile(sorted, 0.95) };
}

/** Linear interpolation between order statistics: R's type 7, NumPy's default. */
function quantile(sorted: Float64Array, part: number): number {
  const at = (sorted.length - 1) * part;
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at % 1);
}

const T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/** The 97.5 % quantile of Student's t; from 10 degrees of freedom by its expansion (Abramowitz & Stegun 26.7.5). */
export function student95(freedom: number): number {
  // z, (z³ + z) / 4, (5z⁵ + 16z³ + 3z) / 96 … of the normal quantile z.
  const terms = [1.959964, 2.372271, 2.822499, 2.55585];
  return T95[freedom - 1] ?? terms.reduce((sum, term, power) => sum + term / freedom ** power, 0);
}
