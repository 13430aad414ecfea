/** The job's configuration, hardware, estimate, ids and reproducibility, as definition lists. */
import type { ComponentChildren } from "preact";
import type { Forecast, Job } from "../../../contract.gen";
import type { Run } from "../../../events/run";
import { now } from "../../../lib/clock";
import { absolute, bytes, duration, number } from "../../../lib/format";
import { configOf, settings } from "../../../lib/job-config-text";
import { isObject } from "../../../lib/json";
import { late } from "../../../lib/late";
import { clean } from "../../../lib/text";
import { CopyButton } from "../../../ui/controls/copy";
import { Skeleton } from "../../../ui/skeleton";
import { jobTimeLeft } from "../progress/pace";
import { type JobNow, ranFor, stepsOf } from "../state";
import { HASHES } from "./reproducible";

const MOST = 12;
const useHelp = late(() => import("../../../help.gen"));

export function Configuration({ id, job, run, version }: JobNow) {
  const help = useHelp(true);
  return (
    <div class="job-facts">
      {job && help ? (
        <Settings job={job} {...help} />
      ) : (
        <Group title="Configuration">
          <Skeleton />
        </Group>
      )}
      <Hardware run={run} version={version} />
      {job?.forecast && <Foretold job={job} forecast={job.forecast} run={run} version={version} />}
      <Group title="Job">
        <Fact name="Id" value={id} mono copy />
        {job && (
          <>
            <Fact name="Project" value={`${clean(job.orgId, 80)} / ${clean(job.projectId, 80)}`} mono />
            <Fact name="Created" value={absolute(job.createdAt)} />
            {job.startedAt && <Fact name="Started" value={absolute(job.startedAt)} />}
            {job.completedAt && <Fact name="Ended" value={absolute(job.completedAt)} />}
          </>
        )}
      </Group>
    </div>
  );
}

/** Defaults are written more quietly, and rarely used ones are folded. Settings of only this job are marked. */
function Settings({ job, HELP, SELDOM }: { job: Job } & typeof import("../../../help.gen")) {
  const requested = job.config as unknown as Readonly<Record<string, unknown>>;
  const hand: readonly unknown[] = Array.isArray(requested.setByHand) ? requested.setByHand : [];
  const rows: ComponentChildren[] = [];
  const away: ComponentChildren[] = [];
  for (const { field, label, value } of settings(configOf(job))) {
    const isSet = requested[field] !== undefined && requested[field] !== null;
    const byHand = hand.includes(field);
    (isSet || !SELDOM.has(field) ? rows : away).push(
      <Fact
        key={field}
        name={label}
        help={HELP.get(field)}
        value={value}
        mark={byHand ? "set by hand" : undefined}
        title={isSet ? value : `${value}, the default`}
        quiet={!isSet}
      />,
    );
  }
  return (
    <Group title="Configuration" more={away}>
      {rows}
    </Group>
  );
}

interface GroupProps {
  title: string;
  children: ComponentChildren;
  /** Facts that are shown on request. */
  more?: readonly ComponentChildren[];
}

function Group({ title, children, more = [] }: GroupProps) {
  return (
    <div class="job-group">
      <h2>{title}</h2>
      <dl>{children}</dl>
      {more.length > 0 && (
        <details>
          <summary>{number(more.length)} more (defaults)</summary>
          <dl>{more}</dl>
        </details>
      )}
    </div>
  );
}

interface FactProps {
  name: string;
  value: ComponentChildren;
  /** What the name means. */
  help?: string | undefined;
  title?: string;
  /** Remarks on the value, in a word or two. */
  mark?: string | undefined;
  quiet?: boolean;
  mono?: boolean;
  copy?: boolean;
}

function Fact({ name, value, help, title, mark, quiet, mono, copy }: FactProps) {
  return (
    <div class="job-fact">
      <dt title={help}>{name}</dt>
      <dd class={`${mono ? "mono" : "num"}${quiet ? " dim" : ""}`} title={title}>
        {typeof value === "string" ? clean(value, 300) : value}
        {mark && <span class="hint">{mark}</span>}
        {copy && typeof value === "string" && (
          <CopyButton text={value} label={`Copy ${name.toLowerCase()}`} small />
        )}
      </dd>
    </div>
  );
}

const WORDS: readonly (readonly [string, string])[] = [
  ["device", "Device"],
  ["dtype", "Precision"],
  ["trainRows", "Training rows"],
  ["evalRows", "Eval rows"],
  ["trainableParameters", "Trainable parameters"],
];

function Hardware({ run: { metadata } }: { run: Run; version: number }) {
  const known = WORDS.filter(
    ([key]) => typeof metadata[key] === "number" || typeof metadata[key] === "string",
  );
  if (known.length === 0) return null;
  return (
    <Group title="Hardware">
      {known.map(([key, label]) => {
        const value = metadata[key];
        return (
          <Fact key={key} name={label} value={typeof value === "number" ? number(value) : String(value)} />
        );
      })}
    </Group>
  );
}

const HASH_SHOWN = 12;

/** Everything that must be the same for bit-identical results, as far as the backend says. */
export function Reproducibility({ job, run: { metadata } }: JobNow) {
  const hashes = HASHES.filter(([key]) => typeof metadata[key] === "string" && metadata[key]);
  const { versions, threads, processor } = metadata;
  const seed = job?.settings?.seed ?? (job?.config as { seed?: unknown } | undefined)?.seed;
  const libraries = isObject(versions) ? Object.entries(versions).slice(0, MOST) : [];
  return (
    <div class="job-facts">
      <p class="job-facts-note hint">
        The same inputs, seed and libraries give the same adapter, bit for bit, on this kind of processor.
      </p>
      <Group title="Inputs">
        {hashes.map(([key, label]) => (
          <Fact
            key={key}
            name={`${label} hash`}
            mono
            value={
              <>
                {clean(String(metadata[key]), HASH_SHOWN)}
                <CopyButton
                  text={String(metadata[key])}
                  label={`Copy the ${label.toLowerCase()} hash`}
                  small
                />
              </>
            }
          />
        ))}
        {typeof seed === "number" && <Fact name="Seed" value={String(seed)} />}
      </Group>
      <Group title="Software and processor">
        {libraries.map(([name, version]) => (
          <Fact key={name} name={clean(name, 40)} value={clean(String(version), 60)} />
        ))}
        {typeof processor === "string" && <Fact name="Processor" value={processor} />}
        {typeof threads === "number" && <Fact name="Threads" value={number(threads)} />}
      </Group>
    </div>
  );
}

const eachOf = (sizes: number[]) => sizes.map(bytes).join(" and ");

/** The forecast made with the job, next to the result, or to a prediction from the current pace. */
function Foretold({ job, forecast, run }: { job: Job; forecast: Forecast; run: Run; version: number }) {
  const { seconds } = forecast;
  const peak = forecast.memory?.peakBytes;
  const came = job.metrics?.peakBytes;
  const gpus = [forecast.gpus ?? forecast.device ?? []].flat();
  const took = job.metrics?.gpuPeakBytes;
  return (
    <Group title="Forecast">
      {typeof seconds === "number" && (
        <Fact name="Time" value={`${duration(seconds * 1000)}${timeThatCame(job, run)}`} />
      )}
      {typeof peak === "number" && (
        <Fact
          name="Peak memory"
          help="Peak memory of the training process since its model was loaded"
          value={`${bytes(peak)}${typeof came === "number" ? `, took ${bytes(came)}` : ""}`}
        />
      )}
      {gpus.length > 0 && (
        <Fact
          name="Peak GPU memory"
          help="Peak memory that training allocated, on each GPU"
          value={`${eachOf(gpus.map((gpu) => gpu?.peakBytes))}${Array.isArray(took) ? `, took ${eachOf(took)}` : ""}`}
        />
      )}
      {typeof forecast.learnedTokens === "number" && (
        <Fact name="Tokens to learn" value={number(forecast.learnedTokens)} />
      )}
      {typeof forecast.cutRows === "number" && <Fact name="Rows cut" value={number(forecast.cutRows)} />}
    </Group>
  );
}

function timeThatCame(job: Job, run: Run): string {
  if (job.status === "completed") return `, took ${duration(ranFor(job, run, 0))}`;
  if (job.status !== "running") return "";
  const remaining = jobTimeLeft(run, stepsOf(job, run).total, now.value - run.behind);
  const gone = ranFor(job, run, now.value);
  return "ms" in remaining && gone !== null ? `, now about ${duration(gone + remaining.ms)}` : "";
}
