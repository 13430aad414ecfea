/** The job's chart with everything that belongs to it: legend, controls, exports, statistics. */
import { useSignal } from "@preact/signals";
import { Chart } from "../../chart/chart";
import { ChartControls } from "../../chart/controls";
import { exportItems, exportRun } from "../../chart/export/menu";
import type { Track } from "../../chart/geometry/track";
import type { Cursor } from "../../chart/input/cursor";
import { Legend } from "../../chart/legend";
import { ChartStatistics } from "../../chart/statistics-table";
import { useScene } from "../../chart/use-scene";
import { useSettings } from "../../chart/use-settings";
import type { Job } from "../../contract.gen";
import type { Run } from "../../events/run";
import { useStreams } from "../../events/use-stream";
import { displayName } from "../../lib/text";
import { AnswersPlace } from "./answers-place";
import { tryHref } from "./facts";
import { MachinePlace } from "./machine-place";
import { isActive, originOf, stepsOf } from "./state";

interface Props {
  id: string;
  job: Job | undefined;
  run: Run;
  version: number;
  status: string;
}

export function JobCurve({ id, job, run, version, status }: Props) {
  const [settings, change] = useSettings();
  const { scene, latest, onScene } = useScene();
  const cursor = useSignal<Cursor | null>(null);
  const origin = originOf(job, run);
  const track = (key: Track["metric"], label: string, tone: string): Track => ({
    key,
    label,
    rows: run.rows,
    metric: key,
    origin,
    tone,
  });
  const tracks: Track[] = [
    track("loss", "training loss", "--accent"),
    ...(run.evaluated ? [track("evalLoss", "eval loss", "--second")] : []),
  ];
  const parent = job?.parent;
  const [before] = useStreams(parent ? [parent.jobId] : []);
  if (parent && before && before.version.value > 0 && before.run.rows.length > 0)
    tracks.push({
      key: "parent",
      label: `${displayName(parent.name ?? parent.jobId)}, its parent`,
      rows: before.run.rows,
      metric: "loss",
      origin: originOf(undefined, before.run),
      tone: "--ink-3",
      dash: "5 3",
    });
  const all = settings.lr ? [...tracks, track("lr", "learning rate", "--ink-3")] : tracks;
  const name = displayName(job?.name ?? id);
  return (
    <section aria-label="Loss">
      <div class="job-chart-head">
        <Legend tracks={all} settings={settings} onChange={change} />
      </div>
      <Chart
        label={`Loss of ${name}`}
        tracks={all}
        settings={settings}
        onZoom={(zoom) => change({ zoom })}
        checkpoints={run.checkpoints}
        checkpointHref={(step) => tryHref(`checkpoint:${id}:${step}`)}
        until={isActive(status) ? (stepsOf(job, run).total ?? undefined) : undefined}
        onScene={onScene}
        cursor={cursor}
        empty={emptyText(status, run)}
      />
      <ChartControls
        settings={settings}
        onChange={change}
        rates
        scene={scene}
        exports={exportItems(latest, name, [exportRun(id, name, job, run.rows)])}
      />
      <ChartStatistics scene={scene} />
      <AnswersPlace id={id} job={job} run={run} version={version} scene={scene} cursor={cursor} />
      <MachinePlace
        run={run}
        version={version}
        origin={origin}
        settings={settings}
        scene={scene}
        cursor={cursor}
      />
    </section>
  );
}

function emptyText(status: string, run: Run): string {
  if (run.rows.length > 0) return "No loss was logged so far.";
  return isActive(status) ? "The curve begins with the first logged step." : "No step was logged.";
}
