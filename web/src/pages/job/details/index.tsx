/** Details of a job: its events, configuration, machine metrics and reproducibility. */
import { useState } from "preact/hooks";
import { number } from "../../../lib/format";
import { late } from "../../../lib/late";
import { displayName } from "../../../lib/text";
import { Tabs } from "../../../ui/controls/tabs";
import type { JobChart } from "../progress/curve";
import { type JobNow, originOf } from "../state";
import { Events } from "./events";
import { isReproducible } from "./reproducible";
import "./details.css";

const useFacts = late(() => import("./configuration"));
const useMachine = late(() => import("../result"));

type Tab = "events" | "configuration" | "machine" | "reproducibility";

/** Outlives the page: the chosen tab stays open for the next job. */
let lastTab: Tab = "events";

export function Details({ chart, ...now }: JobNow & { chart: JobChart }) {
  const { id, job, run, version } = now;
  const [chosen, choose] = useState<Tab>(lastTab);
  const measured = run.samples.length > 0 || run.phases.size > 0 || run.metrics.secondsIn !== undefined;
  const items: { value: Tab; label: string; count?: string }[] = [
    { value: "events", label: "Events", count: number(run.records.rows) },
    { value: "configuration", label: "Configuration" },
  ];
  if (measured) items.push({ value: "machine", label: "Machine" });
  if (isReproducible(now)) items.push({ value: "reproducibility", label: "Reproducibility" });
  const tab = items.some(({ value }) => value === chosen) ? chosen : "events";
  const facts = useFacts(tab === "configuration" || tab === "reproducibility");
  const machine = useMachine(tab === "machine");
  return (
    <section class="job-details" aria-label="Details">
      <Tabs
        label="Details"
        items={items}
        value={tab}
        onChange={(next) => {
          lastTab = next;
          choose(next);
        }}
      >
        {tab === "events" && <Events run={run} version={version} name={displayName(job?.name ?? id)} />}
        {tab === "configuration" && facts && <facts.Configuration {...now} />}
        {tab === "machine" && machine && (
          <machine.Machine
            run={run}
            version={version}
            origin={originOf(job, run)}
            shift={job?.parent?.step ?? 0}
            settings={chart.settings}
            scene={chart.scene}
            cursor={chart.cursor}
          />
        )}
        {tab === "reproducibility" && facts && <facts.Reproducibility {...now} />}
      </Tabs>
    </section>
  );
}
