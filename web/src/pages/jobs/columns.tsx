/** The columns of the jobs table, one record each. */
import { computed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Job, JobConfig } from "../../contract.gen";
import { now } from "../../lib/clock";
import { duration, loss, modelName, number, plural, rate } from "../../lib/format";
import { configOf, datasetName, settings } from "../../lib/job-config-text";
import { finite } from "../../lib/json";
import { clean, displayName } from "../../lib/text";
import { href, jobHref } from "../../router";
import { features } from "../../store/features";
import { jobs } from "../../store/jobs";
import { ordinal, queueWords } from "../../store/queue";
import { CopyButton } from "../../ui/controls/copy";
import { DryMark } from "../../ui/dry";
import { StatusDot } from "../../ui/status";
import { RelativeTime } from "../../ui/time";
import { goodness, StateMark } from "../../ui/verdict";
import { durationOf, lifeOrder } from "./list";
import { StarButton } from "./star";

export interface Column {
  /** Used in the address and, after `jobs-col-`, in the stylesheet. */
  name: string;
  header: string;
  cell: (job: Job) => ComponentChildren;
  /** The tooltip of the cell. */
  hint?: (job: Job) => string | undefined;
  sort: Sort;
  /** In rem; a column without a width takes the remaining space. */
  width?: number;
  align?: "end";
  /** Columns with a high rank are dropped first if there is little room; one without a rank is always shown. */
  rank?: number;
  /** Whether these jobs have something to show in the column; it is left out otherwise, unless a person chose it. */
  useful?: (jobs: readonly Job[]) => boolean;
}

interface Sort {
  /** The sort key; null comes last. Without a key, the list's order applies: newest first. */
  key?: (job: Job, now: number) => string | number | null;
  /** The names of both directions, ascending first. */
  words: readonly [string, string];
  /** The direction of a first click. */
  descendingFirst?: boolean;
  /** A running job's key changes with the clock. */
  live?: boolean;
}

const some =
  (has: (job: Job) => boolean) =>
  (jobs: readonly Job[]): boolean =>
    jobs.some(has);

/** Whether the jobs differ in a setting: one that all jobs share distinguishes none. */
const differs =
  (read: (job: Job) => unknown) =>
  (jobs: readonly Job[]): boolean =>
    jobs.some((job) => read(job) !== read(jobs[0]!));

const modelOf = ({ config }: Job): string => modelName(clean(config?.model, 300));
const dataOf = ({ config }: Job): string => clean(datasetName(config?.datasetSource), 200);
const rateOf = (job: Job): number | null => finite(configOf(job).learningRate);

const handSet = ({ config }: Job): readonly unknown[] =>
  Array.isArray(config?.setByHand) ? config.setByHand : [];

/** Settings of this job only, which differ from the project's file: `Learning rate 0.0001, LoRA rank 8`. */
export function changesOf(job: Job): string {
  const hand = handSet(job);
  if (hand.length === 0) return "";
  const config = Object.fromEntries(Object.entries(job.config).filter(([field]) => hand.includes(field)));
  return settings(config as unknown as JobConfig)
    .map(({ label, value }) => `${label} ${value}`)
    .join(", ");
}

const verdictOf = ({ evaluation }: Job): number | null => goodness(evaluation);

export const CREATED: Column = {
  name: "created",
  header: "Created",
  cell: (job) => <RelativeTime at={job.createdAt} />,
  sort: { words: ["oldest first", "newest first"], descendingFirst: true },
  width: 6.5,
  rank: 1,
};

export const BEST: Column = {
  name: "best",
  header: "Best eval loss",
  cell: (job) => loss(job.metrics?.bestEvalLoss),
  sort: { key: (job) => finite(job.metrics?.bestEvalLoss), words: ["lowest first", "highest first"] },
  width: 8,
  align: "end",
  rank: 2,
  useful: some(({ metrics }) => typeof metrics?.bestEvalLoss === "number"),
};

export const COLUMNS: readonly Column[] = [
  {
    name: "status",
    header: "Status",
    cell: (job) => <Status job={job} />,
    hint: (job) => (job.status === "queued" ? queueWords(job) : undefined),
    sort: { key: (job) => lifeOrder(job.status), words: ["queued first", "cancelled first"] },
    width: 9.25,
  },
  {
    name: "name",
    header: "Name",
    cell: (job) => <Name job={job} />,
    sort: { key: (job) => job.name, words: ["A to Z", "Z to A"] },
  },
  {
    name: "changes",
    header: "Changed settings",
    cell: (job) => <span>{changesOf(job)}</span>,
    hint: changesOf,
    sort: { key: (job) => changesOf(job) || null, words: ["A to Z", "Z to A"] },
    width: 11,
    rank: 6,
    useful: some((job) => handSet(job).length > 0),
  },
  {
    name: "model",
    header: "Base model",
    cell: (job) => <bdi>{modelOf(job)}</bdi>,
    hint: ({ config }) => clean(config?.model, 300),
    sort: { key: (job) => modelOf(job) || null, words: ["A to Z", "Z to A"] },
    width: 10.75,
    rank: 5,
    useful: some(({ config }) => Boolean(config?.model)),
  },
  {
    name: "data",
    header: "Data set",
    cell: (job) => <bdi>{dataOf(job)}</bdi>,
    hint: dataOf,
    sort: { key: dataOf, words: ["A to Z", "Z to A"] },
    width: 9,
    rank: 8,
    useful: differs(dataOf),
  },
  {
    name: "rate",
    header: "Learning rate",
    cell: (job) => rate(rateOf(job)),
    sort: { key: rateOf, words: ["lowest first", "highest first"] },
    width: 7.25,
    align: "end",
    rank: 7,
    useful: differs(rateOf),
  },
  CREATED,
  {
    name: "duration",
    header: "Duration",
    cell: (job) => <Duration job={job} />,
    sort: { key: durationOf, words: ["shortest first", "longest first"], descendingFirst: true, live: true },
    width: 7,
    align: "end",
    rank: 3,
    useful: some((job) => durationOf(job, 0) !== null),
  },
  BEST,
  {
    name: "verdict",
    header: "Verdict",
    cell: (job) => (verdictOf(job) === null ? "–" : <StateMark evaluation={job.evaluation!} />),
    hint: ({ evaluation }) => clean(evaluation?.sentence, 300),
    sort: { key: verdictOf, words: ["worse first", "better first"], descendingFirst: true },
    width: 8.5,
    rank: 4,
    useful: some((job) => verdictOf(job) !== null),
  },
];

function Status({ job }: { job: Job }) {
  const { status, metrics } = job;
  const queued = status === "queued";
  const position = queued ? ordinal(job.queue?.position) : "";
  const part =
    status === "running" && metrics?.step !== undefined && metrics.totalSteps
      ? Math.min(1, metrics.step / metrics.totalSteps)
      : null;
  return (
    <>
      <StatusDot status={status} label={queued ? `Queued${position && `, ${position}`}` : undefined} />
      {part !== null && (
        <span class="jobs-bar" aria-hidden="true">
          <span style={{ width: `${100 * part}%` }} />
        </span>
      )}
    </>
  );
}

/** A running job's progress, or a failed one's reason, in a few words. */
function noteOf({ status, metrics, error }: Job): string {
  if (status === "failed") return clean(error, 160);
  if (status !== "running" || metrics?.step === undefined) return "";
  const of = metrics.totalSteps ? ` of ${number(metrics.totalSteps)}` : "";
  const last = finite(metrics.loss);
  return `step ${number(metrics.step)}${of}${last === null ? "" : `, loss ${loss(last)}`}`;
}

function Name({ job }: { job: Job }) {
  const name = displayName(job.name);
  const note = noteOf(job);
  const sweep = job.sweep;
  return (
    <>
      <span class="jobs-title">
        <a class="jobs-name" href={jobHref(job.id)} title={name}>
          <bdi>{name}</bdi>
        </a>
        {features.value.has("edit") && <StarButton job={job} />}
        <DryMark job={job} />
        {job.tags && <Tags tags={job.tags} />}
        {sweep && (
          <a class="jobs-sweep num" href={href("/sweeps", { id: sweep.id })}>
            Sweep, {plural(inSweep.value.get(sweep.id) ?? 1, "job")}
          </a>
        )}
        <span class="jobs-id mono ellipsis" title={clean(job.id, 64)}>
          {clean(job.id, 64)}
        </span>
        <CopyButton small class="jobs-copy" text={job.id} label={`Copy the id of ${name}`} />
      </span>
      {note && (
        <span class="jobs-note ellipsis num" title={note}>
          {note}
        </span>
      )}
    </>
  );
}

/** The number of jobs of each sweep, of which the table shows one. */
const inSweep = computed(() => {
  const counts = new Map<string, number>();
  for (const { sweep } of jobs.value) if (sweep) counts.set(sweep.id, (counts.get(sweep.id) ?? 0) + 1);
  return counts;
});

const SHOWN_TAGS = 3;

function Tags({ tags }: { tags: readonly string[] }) {
  const labels = tags.slice(0, SHOWN_TAGS).map((tag) => clean(tag, 24));
  if (tags.length > SHOWN_TAGS) labels.push(`+${number(tags.length - SHOWN_TAGS)}`);
  return (
    <span class="jobs-tags ellipsis" title={clean(tags.join(", "), 400)}>
      {labels.map((tag, index) => (
        <bdi key={index}>{tag}</bdi>
      ))}
    </span>
  );
}

function Duration({ job }: { job: Job }) {
  // Only a running job's cell follows the clock.
  return <>{duration(durationOf(job, job.status === "running" ? now.value : 0))}</>;
}
