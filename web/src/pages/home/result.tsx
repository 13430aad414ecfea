/** The last run's result: what the adapter has learned, in words and in its own answers, and what to do with it. */
import { useState } from "preact/hooks";
import { Chart } from "../../chart/chart";
import type { Track } from "../../chart/series";
import { DEFAULTS } from "../../chart/settings";
import { AskBoth } from "../../chat/ask-both";
import type { Evaluation, Job } from "../../contract.gen";
import { useStream } from "../../events/use-stream";
import { answererOf } from "../../lib/best-step";
import { isObject } from "../../lib/json";
import { displayName } from "../../lib/text";
import { href, jobHref } from "../../router";
import { features } from "../../store/features";
import { RelativeTime } from "../../ui/time";
import { Pair } from "../job/answers";
import { systemOf } from "../job/answers/samples";
import { lossOf } from "../job/progress/own-figures";
import { originOf, statusOf } from "../job/state";
import { Remedy } from "../job/verdict/remedy";
import { VerdictHead } from "./verdict";

const HEIGHT = 200;
const PROMPTS = 3;

export function Result({ job }: { job: Job }) {
  const stream = useStream(job.id);
  const { run } = stream;
  const version = stream.version.value;
  const evaluation = isObject(job.evaluation) ? (job.evaluation as Evaluation) : undefined;
  const [zoom, setZoom] = useState(DEFAULTS.zoom);
  const origin = originOf(job, run);
  const track = (metric: "loss" | "evalLoss", label: string, tone: string): Track => ({
    key: metric,
    label,
    rows: run.rows,
    metric,
    origin,
    tone,
  });
  const actions = (
    <>
      {features.value.has("exports") && (
        <a class="ui-button ui-button-plain" href={jobHref(job.id, { at: "exports" })}>
          Export
        </a>
      )}
      {evaluation && <Remedy job={job} evaluation={evaluation} />}
      <a class="ui-button ui-button-quiet" href={jobHref(job.id)}>
        Open job
      </a>
    </>
  );
  const ask = answererOf(job);
  return (
    <section class="home-result" aria-label="Result">
      <header class="home-result-head">
        <p class="hint">
          Last run, <bdi>{displayName(job.name)}</bdi>, <RelativeTime at={job.completedAt} />
        </p>
        {evaluation ? (
          <VerdictHead evaluation={evaluation} />
        ) : (
          <>
            <h2>Completed</h2>
            <p class="dim">It was not compared with its base, so nothing says yet whether it is better.</p>
          </>
        )}
      </header>
      {run.answers.length > 0 ? (
        <Pair id={job.id} job={job} run={run} version={version} status={statusOf(job, run)} most={PROMPTS}>
          {(prompt) => (
            <p class="home-result-actions">
              <AskBoth
                class="ui-button ui-button-primary"
                job={job}
                target={ask}
                question={prompt.text}
                system={systemOf(prompt.before) ?? ""}
              >
                Ask it something
              </AskBoth>
              {actions}
            </p>
          )}
        </Pair>
      ) : (
        <p class="home-result-actions">
          <a class="ui-button ui-button-primary" href={href("/playground", { target: ask })}>
            Ask it something
          </a>
          {actions}
        </p>
      )}
      {run.rows.length > 1 && (
        <div class="home-curve">
          <Chart
            label={`${run.measure} of ${displayName(job.name)}`}
            tracks={[
              track("loss", `training ${lossOf(run)}`, "--accent"),
              ...(run.evaluated ? [track("evalLoss", `eval ${lossOf(run)}`, "--second")] : []),
            ]}
            settings={{ ...DEFAULTS, zoom }}
            onZoom={setZoom}
            height={HEIGHT}
            empty="No step was logged."
          />
        </div>
      )}
    </section>
  );
}
