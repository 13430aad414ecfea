/** The job's result for other programs: its adapter or a merged model, each verified against the trained model. */

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useActions } from "../../../actions/actions";
import { api, errorText, isAbort, request } from "../../../api/client";
import type { Export } from "../../../contract.gen";
import { fileName } from "../../../lib/download";
import { bytes, duration, number, plural } from "../../../lib/format";
import { isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { route, setQuery } from "../../../router";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { announce } from "../../../ui/controls/live";
import { confirm } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { StatusDot } from "../../../ui/status";
import { Files, filesOf, SaveAll, useSaver } from "./files";
import { LLAMA_FORMATS, Llama, type Problem, Unavailable, type Wanted } from "./llama";
import "./exports.css";

const LOOK_MS = 1000;
/** A format without options: its name and what it is for. */
interface Plain {
  format: string;
  label: string;
  hint: string;
}
/** Those of a backend that does not say which it has. */
const USUAL: readonly Plain[] = [
  { format: "adapter", label: "Adapter", hint: "The LoRA weights alone, for PEFT and vLLM" },
  {
    format: "merged",
    label: "Merged model",
    hint: "Adapter and base as one model, for transformers and vLLM",
  },
];
const LIMIT = 50;

const isDone = (entry: Export): boolean => entry.state === "completed" || entry.state === "failed";

/** What the backend lists, as far as it can be read. */
export function exportsOf(exported: unknown): Export[] {
  const list = isObject(exported) && Array.isArray(exported.exports) ? exported.exports : [];
  return list
    .filter((entry): entry is Export => isObject(entry) && typeof entry.id === "string" && entry.id !== "")
    .slice(0, LIMIT);
}

const formatsOf = (answer: unknown): Record<string, unknown>[] =>
  isObject(answer) && Array.isArray(answer.formats) ? answer.formats.filter(isObject) : [];

/** Why formats are unavailable here, by format, and the command that fixes it. */
export function problemsOf(answer: unknown): ReadonlyMap<string, Problem> {
  return new Map(
    formatsOf(answer)
      .filter(({ problem }) => typeof problem === "string")
      .map((entry) => [
        clean(entry.format, 40),
        { text: clean(entry.problem, 600), install: clean(entry.install ?? "", 1000) },
      ]),
  );
}

/** The formats that the backend names for people. */
export function labelledOf(answer: unknown): Plain[] {
  return formatsOf(answer)
    .slice(0, LIMIT)
    .map((entry) => ({
      format: clean(entry.format ?? "", 40),
      label: clean(entry.label ?? "", 40),
      hint: clean(entry.hint ?? "", 120),
    }))
    .filter(({ format, label }) => format && label);
}

/** Within a sentence; an acronym keeps its capitals. */
const lowered = (label: string): string =>
  /^[A-Z][a-z]/.test(label) ? label.charAt(0).toLowerCase() + label.slice(1) : label;

interface Props {
  id: string;
  /** The job's name, under which files are saved. */
  name: string;
  best: number | null;
}

export function Exports({ id, name, best }: Props) {
  const path = `/jobs/${encodeURIComponent(id)}/exports`;
  const [list, setList] = useState<readonly Export[]>([]);
  const [problems, setProblems] = useState<ReadonlyMap<string, Problem>>(new Map());
  const [labelled, setLabelled] = useState<readonly Plain[]>([]);
  const [error, setError] = useState("");
  const [looks, setLooks] = useState(0);
  const waiting = useRef(new Set<string>());
  const take = useCallback((exported: readonly Export[]) => {
    for (const entry of exported) {
      if (!isDone(entry)) waiting.current.add(entry.id);
      else if (waiting.current.delete(entry.id)) {
        announce(entry.state === "completed" ? "The export is ready" : "The export failed");
      }
    }
    setList(exported);
  }, []);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = new AbortController();
    const look = async (): Promise<void> => {
      try {
        const answer = await api<unknown>(path, { signal: stop.signal });
        const exported = exportsOf(answer);
        setProblems(problemsOf(answer));
        setLabelled(labelledOf(answer));
        take(exported);
        if (exported.some((entry) => !isDone(entry))) timer = setTimeout(look, LOOK_MS);
      } catch (fault) {
        if (!isAbort(fault)) timer = setTimeout(look, 5 * LOOK_MS);
      }
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, looks, take]);
  const act = async (call: () => Promise<unknown>): Promise<void> => {
    setError("");
    try {
      await call();
    } catch (fault) {
      setError(errorText(fault));
    }
    setLooks(looks + 1);
  };
  const begin = (options: Wanted) =>
    act(() => api(path, { method: "POST", body: best === null ? options : { ...options, step: best } }));
  const remove = async (entry: Export): Promise<void> => {
    const sure =
      entry.state !== "completed" ||
      (await confirm({
        title: "Remove this export?",
        text: `Its files (${bytes(entry.bytes ?? 0)}) are deleted. You can export again.`,
        action: "Remove",
      }));
    if (sure) await act(() => request(`${path}/${encodeURIComponent(entry.id)}`, { method: "DELETE" }));
  };
  const underway = new Set<string>(list.flatMap((entry) => (isDone(entry) ? [] : [entry.format])));
  const names = new Map([...USUAL, ...labelled].map(({ format, label }) => [format, label]));
  const offered = labelled.length > 0 ? labelled.filter(({ format }) => !LLAMA_FORMATS.has(format)) : USUAL;
  const plain = offered.map(({ format, label, hint }) => ({
    name: `job.export.${format}`,
    title: label,
    label: `Export ${lowered(label)}`,
    hint,
    format,
    when: () => !underway.has(format) && !problems.has(format),
    run: () => begin({ format }),
  }));
  useActions("Job", plain);
  const section = useRef<HTMLElement>(null);
  const asked = route.value.query.get("at") === "exports";
  useEffect(() => {
    if (!asked) return;
    section.current?.scrollIntoView();
    section.current?.querySelector<HTMLElement>("button:enabled")?.focus({ preventScroll: true });
    setQuery({ at: null });
  }, [asked]);
  return (
    <section aria-label="Export" class="exports" ref={section}>
      <h2>Export</h2>
      <p class="exports-note">
        Every export is reloaded and verified against the trained model.
        {best !== null && ` Step ${number(best)} is exported: it beats the final adapter.`}
      </p>
      <div class="exports-cards">
        {plain.map(({ format, title, label, hint, when, run }) => (
          <Card key={format} title={title} hint={hint}>
            <Unavailable id={`exports-${format}`} problem={problems.get(format)} />
            <Button
              small
              disabled={!when()}
              aria-describedby={problems.has(format) ? `exports-${format}` : undefined}
              onClick={run}
            >
              {label}
            </Button>
          </Card>
        ))}
        {features.value.has("gguf") && (
          <Card title="GGUF" hint="For llama.cpp, LM Studio and Ollama">
            <Llama underway={underway} begin={begin} problems={problems} />
          </Card>
        )}
      </div>
      {error && <ErrorNote error={error} />}
      {list.length > 0 && (
        <ul class="exports-list">
          {list.map((entry) => (
            <li key={entry.id}>
              <One
                job={id}
                name={name}
                title={names.get(entry.format) ?? clean(entry.format, 40)}
                entry={entry}
                remove={() => remove(entry)}
              />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Card({ title, hint, children }: { title: string; hint: string; children: ComponentChildren }) {
  return (
    <div class="exports-card">
      <h3>{title}</h3>
      <p class="exports-quiet">{hint}</p>
      {children}
    </div>
  );
}

interface OneProps {
  job: string;
  name: string;
  /** The format's name. */
  title: string;
  entry: Export;
  remove: () => Promise<void>;
}

/** How to use it: a command for each program, from the backend. */
function usage({ usage }: Export): readonly (readonly [program: string, line: string])[] {
  const lines = Array.isArray(usage) ? usage.filter(Array.isArray).slice(0, 10) : [];
  return lines.map(([program, line]) => [clean(program, 40), clean(line, 500)]);
}

function One({ job, name, title, entry, remove }: OneProps) {
  const proof = isObject(entry.proof) ? entry.proof : null;
  const faults = Array.isArray(proof?.faults) ? proof.faults.slice(0, 10) : [];
  const saver = useSaver(job, entry);
  const files = filesOf(entry);
  const commands: readonly (readonly [program: string, line: string])[] = [
    ["Terminal", command(job, entry)],
    ...usage(entry),
    ["The Hub", command(job, entry, true)],
  ];
  return (
    <article class="exports-one" aria-label={title}>
      <header>
        <h3>
          {title}
          {entry.step !== undefined && ` of step ${number(entry.step)}`}
          {entry.quantization !== undefined && `, ${clean(entry.quantization, 20).toUpperCase()}`}
          {entry.strength !== undefined && ` at ${number(100 * entry.strength)} %`}
        </h3>
        <ProofMark entry={entry} />
        <span class="exports-actions">
          <SaveAll entry={entry} archive={fileName(`${name} ${entry.format}`, "zip")} saver={saver} />
          <Button small kind="quiet" onClick={remove}>
            {isDone(entry) ? "Remove" : "Stop"}
          </Button>
        </span>
      </header>
      {entry.state === "failed" && <ErrorNote error={clean(entry.error, 1000) || "The export failed."} />}
      {!isDone(entry) && <Progress entry={entry} />}
      {proof && <p class="exports-quiet exports-note">{clean(proof.sentence, 600)}</p>}
      {faults.length > 0 && (
        <ul class="exports-faults">
          {faults.map((fault) => (
            <li key={String(fault)}>{clean(fault, 500)}</li>
          ))}
        </ul>
      )}
      {files.length > 0 && (
        <details class="chart-statistics">
          <summary>
            {plural(files.length, "file")}
            {entry.state === "completed" && " and commands"}
          </summary>
          <Files entry={entry} saver={saver} />
          {entry.state === "completed" &&
            commands.map(([program, line]) => (
              <div class="exports-command" key={program}>
                <span class="exports-quiet">{program}</span>
                <code>{line}</code>
                <CopyButton text={line} label={`Copy command for ${program}`} small />
              </div>
            ))}
        </details>
      )}
    </article>
  );
}

/** The result of the verification; the files may be there before it. */
function ProofMark({ entry }: { entry: Export }) {
  if (isObject(entry.proof)) {
    const same = entry.proof.verdict === "same";
    return <StatusDot status={same ? "completed" : "failed"} label={same ? "Verified" : "Differs"} />;
  }
  return !isDone(entry) && filesOf(entry).length > 0 ? (
    <StatusDot status="running" label="Verifying …" />
  ) : null;
}

/** Commands for the same files, in another folder or published. */
export function command(job: string, entry: Export, push = false): string {
  const step = entry.step === undefined ? "" : ` --checkpoint ${entry.step}`;
  const format = entry.format === "adapter" ? "" : ` --format ${clean(entry.format, 20)}`;
  const bits = entry.quantization === undefined ? "" : ` --quantization ${clean(entry.quantization, 20)}`;
  const strength = entry.strength === undefined ? "" : ` --strength ${Number(entry.strength)}`;
  const [verb, to] = push ? ["push", "NAME/REPOSITORY"] : ["export", "--out FOLDER"];
  return `arkor-dev ${verb} ${clean(job, 100)}${format}${bits}${strength}${step} ${to}`;
}

function amount(done: number, total: number, unit: unknown): string {
  return unit === "B"
    ? `${bytes(done)} of ${bytes(total)}`
    : `${number(done)} of ${number(total)} ${clean(unit, 20)}`;
}

function Progress({ entry }: { entry: Export }) {
  const progress = isObject(entry.progress) ? entry.progress : null;
  const total = Number(progress?.total) || 0;
  const done = Math.min(Number(progress?.done) || 0, total);
  const label =
    entry.state === "waiting"
      ? "Waiting for the current training to finish"
      : progress
        ? clean(progress.label, 80)
        : "Starting";
  return (
    <div class="exports-progress">
      <span>
        {label}
        {total > 0 && <span class="num exports-quiet">{` ${amount(done, total, progress?.unit)}`}</span>}
        {Number(progress?.secondsLeft) > 0 && (
          <span class="num exports-quiet">{`, ${duration(1000 * Number(progress?.secondsLeft))} left`}</span>
        )}
      </span>
      {total > 0 ? <progress value={done} max={total} aria-label={label} /> : <progress aria-label={label} />}
    </div>
  );
}
