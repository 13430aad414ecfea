/** Statistics of the visible range, one line a curve. */
import type { Signal } from "@preact/signals";
import { loss, number, rate } from "../format";
import { clean } from "../text";
import { within } from "./decimate";
import type { Scene } from "./scene";
import { statistics } from "./stats";
import { Swatch } from "./swatch";

const CI = "95 % confidence interval of the mean by Student's t, as if the points were independent";

export function ChartFigures({ scene: shown }: { scene: Signal<Scene | null> }) {
  const scene = shown.value;
  const rows = (scene?.drawn ?? []).filter(({ y }) => y === scene!.y);
  if (rows.every(({ line }) => line.xs.length === 0)) return null;
  return (
    <div class="chart-figures" role="region" aria-label="Statistics of the visible range" tabIndex={0}>
      <table class="num">
        <thead>
          <tr>
            <th scope="col">In sight</th>
            <th scope="col">Points</th>
            <th scope="col">
              <abbr title={CI}>Mean ± 95 % CI</abbr>
            </th>
            <th scope="col">Std dev</th>
            <th scope="col">p90</th>
            <th scope="col">p95</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ track, line }) => {
            const { raw } = line;
            const words = track.metric === "lr" ? rate : loss;
            const stats = scene && statistics(raw.ys, ...within(raw, ...scene.view));
            return (
              <tr key={track.key}>
                <th scope="row">
                  <Swatch {...track} /> {clean(track.label, 80)}
                </th>
                <td>{number(stats?.count ?? 0)}</td>
                <td>{stats ? `${words(stats.mean)}${Number.isFinite(stats.ci) ? ` ± ${words === rate ? rate(stats.ci) : spread(stats.mean, stats.ci)}` : ""}` : "–"}</td>
                <td>{words(stats?.sd)}</td>
                <td>{words(stats?.p90)}</td>
                <td>{words(stats?.p95)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** With the mean's decimals, unless that would leave nothing of it. */
function spread(mean: number, ci: number): string {
  const words = loss(mean);
  if (words.includes("e")) return loss(ci);
  const decimals = words.split(".")[1]?.length ?? 0;
  const text = ci.toFixed(Math.min(6, decimals));
  return Number(text) > 0 || ci === 0 ? text : loss(ci);
}
