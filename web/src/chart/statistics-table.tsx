/** Statistics of the visible range, one row per curve; computed when opened. */
import type { Signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { loss, number, rate } from "../lib/format";
import { clean } from "../lib/text";
import { within } from "./data/curve";
import type { Metric } from "./data/series";
import { statistics } from "./data/stats";
import type { Scene } from "./geometry/scene";
import { Swatch } from "./swatch";

const COLUMNS = 6;
const CI = "95 % confidence interval of the mean by Student's t, as if the points were independent";

export function ChartStatistics({ scene: sceneSignal }: { scene: Signal<Scene | null> }) {
  const scene = sceneSignal.value;
  const rows = (scene?.drawn ?? []).filter(({ y }) => y === scene!.y);
  const [open, setOpen] = useState(false);
  if (rows.every(({ series }) => series.xs.length === 0)) return null;
  return (
    <details class="chart-statistics" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Statistics</summary>
      {open && <StatisticsTable scene={scene!} rows={rows} />}
    </details>
  );
}

function StatisticsTable({ scene, rows }: { scene: Scene; rows: Scene["drawn"] }) {
  return (
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
          {rows.map(({ track, series }) => {
            const { raw } = series;
            const cells = statisticsCells(raw.ys, ...within(raw, ...scene.visibleRange), track.metric);
            return (
              cells && (
                <tr key={track.key}>
                  <th scope="row">
                    <Swatch {...track} /> {clean(track.label, 80)}
                  </th>
                  {cells.map((text, column) => (
                    <td key={column} {...(column === cells.length - 1 ? { colSpan: COLUMNS - column } : {})}>
                      {text}
                    </td>
                  ))}
                </tr>
              )
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** The cells of a curve's row, for its values in [start, end); null without any. The last one may span the rest. */
export function statisticsCells(
  values: Float64Array,
  start: number,
  end: number,
  metric: Metric,
): readonly string[] | null {
  const stats = statistics(values, start, end);
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
  if (words.includes("e")) return loss(ci);
  const decimals = words.split(".")[1]?.length ?? 0;
  const text = ci.toFixed(Math.min(6, decimals));
  return Number(text) > 0 || ci === 0 ? text : loss(ci);
}
