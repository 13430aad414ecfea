/** Compares several jobs: their curves in one chart, their best values, and their different settings. */
import { useEffect } from "preact/hooks";
import { Chart, useShown } from "../../chart/chart";
import { ChartControls, Legend } from "../../chart/controls";
import { exportItems, exportRun } from "../../chart/export";
import type { Track } from "../../chart/series";
import { useSettings } from "../../chart/settings";
import { ChartStatistics } from "../../chart/statistics";
import { useStreams } from "../../events/use-stream";
import { answererOf } from "../../lib/best-step";
import { late } from "../../lib/late";
import { href, route, setQuery } from "../../router";
import { setTitle } from "../../store/document-title";
import { features } from "../../store/features";
import { jobById, jobsState } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { Chips } from "../../ui/controls/switch";
import { Empty } from "../../ui/empty";
import { originOf } from "../job/state";
import { AddJob } from "./add";
import { idsOf, styleOf } from "./diff";
import { distinctNames } from "./names";
import { Paired } from "./paired";
import { type Compared, Tables } from "./tables";
import "./compare.css";

const useRows = late(() => import("./rows"));

const METRICS: readonly { value: string; label: string }[] = [
  { value: "loss", label: "training loss" },
  { value: "evalLoss", label: "eval loss" },
  { value: "lr", label: "learning rate" },
];

export default function ComparePage() {
  const ids = idsOf(route.value.query);
  useEffect(() => setTitle("Compare"), []);
  const set = (next: readonly string[]): void => setQuery({ jobs: next.join(","), zoom: null });
  return (
    <article class="compare">
      <header class="compare-title">
        <h1 tabIndex={-1}>Compare</h1>
        <BlindTest ids={ids} />
        <AddJob ids={ids} add={(id) => set([...ids, id])} />
      </header>
      {ids.length === 0 ? (
        <Empty title="Choose jobs to compare" action={<a href="#/jobs">Choose from all jobs</a>}>
          Add them here one by one, or tick several in the jobs table.
        </Empty>
      ) : (
        <Comparison ids={ids} remove={(...gone) => set(ids.filter((id) => !gone.includes(id)))} />
      )}
    </article>
  );
}

/** Link to a blind test of two finished adapters. */
function BlindTest({ ids }: { ids: readonly string[] }) {
  const [first, other, more] = ids.map(jobById);
  if (
    first?.status !== "completed" ||
    other?.status !== "completed" ||
    more !== undefined ||
    ids.length !== 2
  )
    return null;
  return (
    <a
      class="ui-button ui-button-small"
      href={href("/blind", { target: answererOf(first), against: answererOf(other) })}
    >
      Blind test
    </a>
  );
}

function Comparison({ ids, remove }: { ids: readonly string[]; remove: (...ids: string[]) => void }) {
  const streams = useStreams(ids);
  const rows = useRows(ids.length > 1 && features.value.has("rows"));
  const version = streams.reduce((sum, stream) => sum + stream.version.value, 0);
  const missing = ids.filter(
    (id, index) => streams[index]!.state.value === "missing" && jobsState.value.loaded && !jobById(id),
  );
  const jobs = ids.map((id) => jobById(id));
  const names = distinctNames(ids.map((id, index) => ({ id, name: jobs[index]?.name })));
  const all = streams.map(
    ({ id, run }, index): Compared => ({ id, run, name: names[index]!, job: jobs[index], ...styleOf(index) }),
  );
  const compared = all.filter(({ id }) => !missing.includes(id));
  return (
    <>
      {missing.length > 0 && (
        <div class="row">
          <p class="job-notice">Not in this project: {missing.map((id) => id.slice(0, 40)).join(", ")}</p>
          <Button small onClick={() => remove(...missing)}>
            Remove
          </Button>
        </div>
      )}
      {compared.length > 0 && (
        <>
          <Curves compared={compared} version={version} />
          <Paired compared={compared} />
          {rows && <rows.RowDifferences compared={compared} />}
          <Tables compared={compared} version={version} remove={remove} />
        </>
      )}
    </>
  );
}

function Curves({ compared }: { compared: readonly Compared[]; version: number }) {
  const [settings, change] = useSettings();
  const shown = useShown();
  const metric = METRICS.find(({ value }) => value === route.value.query.get("metric"))?.value ?? "loss";
  const tracks = compared.map(
    ({ id, name, job, run, tone, dash }): Track => ({
      key: id,
      label: name,
      rows: run.rows,
      metric,
      origin: originOf(job, run),
      tone,
      ...(dash ? { dash } : {}),
    }),
  );
  const runs = compared.map(({ id, name, job, run }) => exportRun(id, name, job, run.rows));
  return (
    <section aria-label="Curves">
      <div class="compare-bar">
        <Legend tracks={tracks} settings={settings} onChange={change} />
        <Chips
          label="Value"
          items={METRICS}
          value={metric}
          onChange={(value) => setQuery({ metric: value === "loss" ? null : value })}
        />
      </div>
      <Chart
        label={`${METRICS.find(({ value }) => value === metric)!.label} of ${compared.length} jobs`}
        tracks={tracks}
        settings={settings}
        onZoom={(zoom) => change({ zoom })}
        shown={shown}
        empty="None of these jobs has logged such a value yet."
      />
      <ChartControls
        settings={settings}
        onChange={change}
        scene={shown.scene}
        exports={exportItems(shown, "Compare", runs)}
      />
      <ChartStatistics scene={shown.scene} />
    </section>
  );
}
