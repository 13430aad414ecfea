/** The job's chart with legend, controls, exports and statistics. */
import { Chart, type Shown, useShown } from "../../../chart/chart";
import { ChartControls, Legend } from "../../../chart/controls";
import { exportItems, exportRun } from "../../../chart/export";
import type { Track } from "../../../chart/series";
import { type Settings, useSettings } from "../../../chart/settings";
import { ChartStatistics } from "../../../chart/statistics";
import { evalName, type Figure, type Run } from "../../../events/run";
import { useStreams } from "../../../events/use-stream";
import { clean, displayName } from "../../../lib/text";
import { route, setQuery } from "../../../router";
import { Chips } from "../../../ui/controls/switch";
import { tryHref } from "../checkpoints";
import { isActive, type JobNow, originOf, stepsOf } from "../state";
import { drift, lossOf, within } from "./own-figures";

/** State that the curve shares with the answers and the machine's charts. */
export interface JobChart extends Shown {
  settings: Settings;
  change: (change: Partial<Settings>) => void;
}

export function useJobChart(): JobChart {
  const [settings, change] = useSettings();
  return { settings, change, ...useShown() };
}

export function JobCurve({ id, job, run, status, chart }: JobNow & { chart: JobChart }) {
  const { settings, change, scene } = chart;
  const origin = originOf(job, run);
  const parent = job?.parent;
  const shift = parent?.step ?? 0;
  const track = (key: Track["metric"], label: string, tone: string): Track => ({
    key,
    label,
    rows: run.rows,
    metric: key,
    origin,
    shift,
    tone,
  });
  const chosenMetric = route.value.query.get("metric") ?? run.judged?.name;
  const figure = run.figures.find(({ name }) => name === chosenMetric);
  const tracks: Track[] = figure
    ? [
        track(figure.name, nameOf(figure), "--accent"),
        track(evalName(figure.name), `eval ${within(nameOf(figure))}`, "--second"),
      ].filter(({ metric }) => run.rows.column(metric).known)
    : [
        track("loss", `training ${lossOf(run)}`, "--accent"),
        ...(run.evaluated ? [track("evalLoss", `eval ${lossOf(run)}`, "--second")] : []),
      ];
  const [before] = useStreams(parent ? [parent.jobId] : []);
  if (parent && before && before.version.value > 0 && before.run.rows.length > 0)
    tracks.push({
      key: "parent",
      label: `${displayName(parent.name ?? parent.jobId)}, its parent`,
      rows: before.run.rows,
      metric: figure?.name ?? "loss",
      origin: originOf(undefined, before.run),
      tone: "--ink-3",
      dash: "5 3",
    });
  const all = settings.lr ? [...tracks, track("lr", "learning rate", "--ink-3")] : tracks;
  const name = displayName(job?.name ?? id);
  const { total } = stepsOf(job, run);
  const drifting = run.figures.some(({ name }) => name === "logpsRejected")
    ? drift(run.rows.column("logpsChosen"), run.rows.column("logpsRejected"))
    : "";
  return (
    <div class="job-curve">
      {run.soFar && isActive(status) && <p class="job-so-far num">{clean(run.soFar.sentence, 600)}</p>}
      <div class="job-chart-head">
        <Legend tracks={all} settings={settings} onChange={change} />
        {run.figures.length > 0 && (
          <Chips
            label="Value"
            items={[
              { value: LOSS, label: run.judged ? "Loss" : run.measure },
              ...run.figures.map(({ name, label }) => ({ value: name, label })),
            ]}
            value={figure?.name ?? LOSS}
            onChange={(metric) => setQuery({ metric: metric === (run.judged?.name ?? LOSS) ? null : metric })}
          />
        )}
      </div>
      <Chart
        label={`${figure?.label ?? run.measure} of ${name}`}
        tracks={all}
        settings={settings}
        onZoom={(zoom) => change({ zoom })}
        checkpoints={run.checkpoints}
        checkpointHref={(step) => tryHref(`checkpoint:${id}:${step}`)}
        until={isActive(status) && total !== null ? shift + total : undefined}
        shown={chart}
        empty={emptyText(status, run)}
      />
      <ChartControls
        settings={settings}
        onChange={change}
        rates
        scene={scene}
        exports={exportItems(chart, name, [exportRun(id, name, job, run.rows)])}
      />
      {drifting !== "" && <p class="hint">{drifting}</p>}
      <ChartStatistics scene={scene} />
    </div>
  );
}

const LOSS = "loss";

const nameOf = ({ label, unit }: Figure): string => (unit ? `${label} (${unit})` : label);

function emptyText(status: string, run: Run): string {
  if (run.rows.length > 0) return "No loss was logged so far.";
  return isActive(status) ? "The curve begins with the first logged step." : "No step was logged.";
}
