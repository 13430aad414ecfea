/** The results and settings of the compared jobs, one column each. */
import { useState } from "preact/hooks";
import { Swatch } from "../../chart/swatch";
import type { Job } from "../../contract.gen";
import type { Run } from "../../events/run";
import { now } from "../../lib/clock";
import { duration, loss, number } from "../../lib/format";
import { finite, isObject } from "../../lib/json";
import { late } from "../../lib/late";
import { jobHref } from "../../router";
import { Button } from "../../ui/controls/button";
import { Switch } from "../../ui/controls/switch";
import { DryMark } from "../../ui/dry";
import { StatusDot } from "../../ui/status";
import { StateMark } from "../../ui/verdict";
import { lastFinite, recentMean } from "../job/progress/pace";
import { isActive, ranFor, statusOf, stepsOf } from "../job/state";
import { bestIndex, changeOf, differences } from "./diff";

const useHelp = late(() => import("../../help.gen"));

export interface Compared {
  id: string;
  name: string;
  tone: string;
  dash?: string;
  job: Job | undefined;
  run: Run;
}

interface Props {
  compared: readonly Compared[];
  version: number;
  remove: (id: string) => void;
}

export function Tables({ compared, remove }: Props) {
  return (
    <div class="compare-tables" role="region" aria-label="Results and configuration" tabIndex={0}>
      <table class="compare-table num">
        <thead>
          <tr>
            <th scope="col">
              <span class="visually-hidden">Value</span>
            </th>
            {compared.map((job) => (
              <th key={job.id} scope="col">
                <Title compared={job} remove={remove} />
              </th>
            ))}
          </tr>
        </thead>
        <Results compared={compared} />
        <Configuration compared={compared} />
      </table>
    </div>
  );
}

function Title({
  compared: { id, name, tone, dash, job },
  remove,
}: {
  compared: Compared;
  remove: (id: string) => void;
}) {
  return (
    <span class="compare-name">
      <Swatch tone={tone} dash={dash} />
      <a class="ellipsis" href={jobHref(id)} title={name}>
        {name}
      </a>
      <DryMark job={job} />
      <Button
        kind="quiet"
        small
        icon="close"
        aria-label={`Remove ${name}`}
        title="Remove from the comparison"
        onClick={() => remove(id)}
      />
    </span>
  );
}

interface Row {
  label: string;
  value: (compared: Compared) => number | null;
  words: (value: number) => string;
  /** Whether lower or higher is better; absent: neither. */
  better?: "low" | "high";
  /** Left out if no job has it. */
  optional?: boolean;
}

const signed = (value: number): string =>
  `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(2)}`;

const ROWS: readonly Row[] = [
  {
    label: "Task loss change",
    value: ({ job }) => changeOf(job?.evaluation?.heldOut),
    words: signed,
    better: "low",
    optional: true,
  },
  {
    label: "General loss change",
    value: ({ job }) => changeOf(job?.evaluation?.general),
    words: signed,
    better: "low",
    optional: true,
  },
  {
    label: "Best eval loss",
    value: ({ run, job }) => run.bestEvalLoss?.value ?? job?.metrics?.bestEvalLoss ?? null,
    words: loss,
    better: "low",
  },
  { label: "at step", value: ({ run }) => run.bestEvalLoss?.step ?? null, words: number },
  {
    label: "Last eval loss",
    value: ({ run, job }) => finite(lastFinite(run.rows.evalLoss)) ?? job?.metrics?.evalLoss ?? null,
    words: loss,
    better: "low",
  },
  {
    label: "Best training loss",
    value: ({ run }) => run.bestLoss?.value ?? null,
    words: loss,
    better: "low",
  },
  {
    label: "Last training loss",
    value: ({ run, job }) => finite(lastFinite(run.rows.loss)) ?? job?.metrics?.loss ?? null,
    words: loss,
    better: "low",
  },
  { label: "Steps", value: ({ run, job }) => stepsOf(job, run).step, words: number },
  { label: "Time", value: ({ run, job }) => ranFor(job, run, now.value), words: duration, better: "low" },
  {
    label: "Tokens/s",
    value: ({ run }) => finite(recentMean(run.rows.tokensPerSecond)),
    words: (value) => number(Math.round(value)),
    better: "high",
  },
];

function Results({ compared }: { compared: readonly Compared[] }) {
  const statuses = compared.map(({ job, run }) => statusOf(job, run));
  return (
    <tbody>
      <Head text="Results" span={compared.length} />
      <tr>
        <th scope="row">Status</th>
        {compared.map(({ id }, index) => (
          <td key={id}>
            <StatusDot status={statuses[index]!} />
          </td>
        ))}
      </tr>
      {compared.some(({ job }) => isObject(job?.evaluation)) && (
        <tr>
          <th scope="row">Verdict</th>
          {compared.map(({ id, job }) => (
            <td key={id}>{isObject(job?.evaluation) ? <StateMark evaluation={job.evaluation} /> : "–"}</td>
          ))}
        </tr>
      )}
      {ROWS.map(({ label, value, words, better, optional }) => {
        const values = compared.map(value);
        if (optional && values.every((compared) => compared === null)) return null;
        // An unfinished run must not count as the fastest.
        const ranked =
          label === "Time"
            ? values.map((ms, index) => (statuses[index] === "completed" ? ms : null))
            : values;
        const best =
          better === undefined || (label === "Time" && statuses.some(isActive))
            ? -1
            : bestIndex(ranked, better === "high");
        return (
          <tr key={label}>
            <th scope="row">{label}</th>
            {values.map((number_, index) => (
              <td key={compared[index]!.id} class={index === best ? "compare-best" : ""}>
                {number_ === null ? "–" : words(number_)}
                {index === best && <span class="compare-best-word">best</span>}
              </td>
            ))}
          </tr>
        );
      })}
    </tbody>
  );
}

function Configuration({ compared }: { compared: readonly Compared[] }) {
  const [all, setAll] = useState(false);
  const help = useHelp(true);
  const rows = differences(compared.map(({ job }) => job));
  const different = rows.filter(({ same }) => !same);
  return (
    <tbody>
      <Head text={all ? "Configuration" : "Configuration that differs"} span={compared.length}>
        <Switch checked={all} onChange={setAll} label="all settings" />
      </Head>
      {!all && different.length === 0 && (
        <tr>
          <td class="hint compare-none" colSpan={compared.length + 1}>
            {compared.length > 1
              ? "These jobs have the same configuration."
              : "Add a second job to see how they differ."}
          </td>
        </tr>
      )}
      {(all ? rows : different).map(({ label, field, values, same }) => (
        <tr key={label} class={same ? "compare-same" : ""}>
          <th scope="row" title={help?.HELP.get(field)}>
            {label}
          </th>
          {values.map((value, index) => (
            <td key={compared[index]!.id}>{value ?? "–"}</td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}

function Head({ text, span, children }: { text: string; span: number; children?: preact.ComponentChildren }) {
  return (
    <tr class="compare-head">
      <th scope="rowgroup" colSpan={span + 1}>
        <span class="compare-head-text">{text}</span> {children}
      </th>
    </tr>
  );
}
