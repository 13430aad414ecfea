/** Makes rows from documents with a teacher: documents, kind, teacher, budget, and the running state. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, errorText, isAbort, useAttempt } from "../../../api/client";
import type { Making, MakingEstimate, MakingOptions, Makings } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean, displayName } from "../../../lib/text";
import { href, route } from "../../../router";
import { poll } from "../../../store/poll";
import { Button } from "../../../ui/controls/button";
import { FileButton } from "../../../ui/controls/file-button";
import { Chips, Field, submits } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { type Draft, draftOf, EMPTY, isActive, KINDS, KINDS_OF_ROWS, type Kind, optionsOf } from "./draft";
import { Running } from "./running";
import "./making.css";

const DOCUMENTS = ".md,.markdown,.txt,.html,.htm,.pdf,.docx";
const ACTIVE_MS = 500;
const IDLE_MS = 5000;
/** Milliseconds after the last change until an estimate is requested: it reads the documents. */
const SETTLED_MS = 600;

export function MakeRows() {
  const [known, setKnown] = useState<Makings | null>(null);
  const [draft, setDraft] = useState<Draft>(() => begunWith(EMPTY));
  const { busy, error, setError, attempt } = useAttempt();
  const touched = useRef(false);
  const polling = useRef<ReturnType<typeof poll> | null>(null);
  const current = known?.current ?? null;
  const active = isActive(current);
  const latest = useRef(active);
  latest.current = active;
  useEffect(() => {
    const look = poll(
      async () => {
        const makings = await api<Makings>("/making").catch(() => null);
        if (!makings) return;
        setKnown(makings);
        const last = makings.known[0];
        if (last && !touched.current) setDraft(begunWith(draftOf(last.options)));
        touched.current = true;
      },
      () => (latest.current ? ACTIVE_MS : IDLE_MS),
    );
    polling.current = look;
    return () => look.stop();
  }, []);
  useEffect(() => void polling.current?.now(), [active]);
  const change = (part: Partial<Draft>): void => {
    touched.current = true;
    setError(null);
    setDraft((before) => ({ ...before, ...part }));
  };
  const options = optionsOf(draft);
  const start = (chosen: MakingOptions): Promise<void> =>
    attempt(async () => {
      const begun = await api<Making>("/making", { method: "POST", body: chosen });
      setKnown((before) => ({ known: [], model: null, ...before, current: begun }));
    });
  const pause = (): void => {
    api<{ current: Making | null }>("/making/pause", { method: "POST" }).then(
      ({ current: paused }) => setKnown((before) => before && { ...before, current: paused }),
      (failure: unknown) => setError(errorText(failure)),
    );
  };
  const ended = known?.known.find(({ name }) => name === current?.name)?.options;
  return (
    <>
      <header class="data-head">
        <h1 tabIndex={-1}>Make rows</h1>
        <a class="ui-button ui-button-quiet ui-button-small" href={href("/data")}>
          Back to the data
        </a>
      </header>
      {known === null ? (
        <Skeleton lines={8} height={20} />
      ) : (
        <>
          {current && (
            <Running making={current} pause={pause} resume={ended ? () => void start(ended) : null} />
          )}
          {!active && (
            <form
              class="making"
              onSubmit={submits(() => typeof options !== "string" && !busy && start(options))}
            >
              {draft.trainer === "" ? (
                <Documents paths={draft.paths} change={(paths) => change({ paths })} />
              ) : (
                <fieldset class="making-part">
                  <legend>More like these</legend>
                  <Text
                    label={`Rows of ${displayName(draft.trainer)}`}
                    value={draft.rows}
                    hint="Such as 3,7-9. Empty for all."
                    change={(rows) => change({ rows })}
                  />
                </fieldset>
              )}
              <fieldset class="making-part">
                <legend>Rows</legend>
                <Chips
                  label="Kind of rows"
                  items={draft.trainer === "" ? KINDS : KINDS_OF_ROWS}
                  value={draft.kind}
                  onChange={(kind) => change({ kind })}
                />
                {draft.kind === "rewrite" && (
                  <Text
                    label="Voice"
                    value={draft.voice}
                    hint="Such as: a friendly librarian who keeps it short"
                    change={(voice) => change({ voice })}
                  />
                )}
                {draft.kind === "extract" && (
                  <Field label="JSON Schema" for="making-schema">
                    <textarea
                      id="making-schema"
                      class="ui-input"
                      rows={6}
                      spellcheck={false}
                      value={draft.schema}
                      onInput={(event) => change({ schema: event.currentTarget.value })}
                    />
                  </Field>
                )}
                {!["summary", "extract", "answers"].includes(draft.kind) && (
                  <Text
                    label={draft.trainer === "" ? "Rows per passage, at most" : "Rows of each, at most"}
                    value={draft.each}
                    numeric
                    change={(rows) => change({ each: rows })}
                  />
                )}
              </fieldset>
              <fieldset class="making-part">
                <legend>Teacher</legend>
                <Chips
                  label="Teacher"
                  items={[
                    { value: "server", label: "A server" },
                    { value: "base", label: "This project's base model" },
                  ]}
                  value={draft.base ? "base" : "server"}
                  onChange={(source) => change({ base: source === "base" })}
                />
                {draft.base ? (
                  <p class="hint">
                    {known.model
                      ? `${clean(known.model, 100)} writes the rows. A larger model makes better ones.`
                      : "There is no trainer yet whose model could write rows."}
                  </p>
                ) : (
                  <div class="making-fields">
                    <Text
                      label="Address"
                      value={draft.teacher}
                      hint="Any server with OpenAI's API: LM Studio, Ollama, vLLM, a hosted one"
                      change={(teacher) => change({ teacher })}
                    />
                    <TeacherModel draft={draft} change={change} />
                    <Text
                      label="Key's environment variable"
                      value={draft.keyEnv}
                      hint="Such as OPENAI_API_KEY, set where Studio was started. Empty without a key."
                      change={(keyEnv) => change({ keyEnv })}
                    />
                  </div>
                )}
              </fieldset>
              <fieldset class="making-part">
                <legend>Budget</legend>
                <div class="making-fields">
                  <Text
                    label="Tokens"
                    value={draft.tokens}
                    numeric
                    hint="Empty for no limit"
                    change={(tokens) => change({ tokens })}
                  />
                  {!draft.base && (
                    <>
                      <Text label="Money" value={draft.money} numeric change={(money) => change({ money })} />
                      <Text
                        label="Price of a million input tokens"
                        value={draft.priceIn}
                        numeric
                        change={(priceIn) => change({ priceIn })}
                      />
                      <Text
                        label="Price of a million output tokens"
                        value={draft.priceOut}
                        numeric
                        change={(priceOut) => change({ priceOut })}
                      />
                    </>
                  )}
                </div>
              </fieldset>
              {error !== null && <ErrorNote error={error} />}
              <div class="row">
                <Button
                  type="submit"
                  kind={current && current.rows > 0 ? "plain" : "primary"}
                  busy={busy}
                  disabled={typeof options === "string"}
                >
                  Make rows
                </Button>
                {typeof options === "string" ? (
                  <p class="hint">{options}</p>
                ) : (
                  <Estimate key={JSON.stringify(options)} options={options} />
                )}
              </div>
              <p class="hint">
                {draft.trainer === "" &&
                  "Each row has a quote that is in the document; whether its answer follows from it is not checked. "}
                None is trained on before you accept it.
              </p>
            </form>
          )}
        </>
      )}
    </>
  );
}

/** The form that the address selects: rows from documents, or more rows like those of a trainer. */
function begunWith(draft: Draft): Draft {
  const { query } = route.peek();
  const trainer = query.get("make") === "rows" ? (query.get("trainer") ?? "") : "";
  const kinds: readonly { value: Kind }[] = trainer === "" ? KINDS : KINDS_OF_ROWS;
  const kind = kinds.some(({ value }) => value === draft.kind) ? draft.kind : kinds[0]!.value;
  return { ...draft, kind, trainer, rows: query.get("row") ?? "" };
}

/** The estimate, requested once the form has not changed for a moment. */
function Estimate({ options }: { options: MakingOptions }) {
  const [estimate, setEstimate] = useState<MakingEstimate | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const call = { method: "POST", body: options, signal: abort.signal } as const;
      api<MakingEstimate>("/making/estimate", call).then(setEstimate, (failure: unknown) => {
        if (!isAbort(failure)) setError(errorText(failure));
      });
    }, SETTLED_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, []);
  if (error !== null) return <p class="hint making-wrong">{clean(error, 400)}</p>;
  if (!estimate) return <p class="hint">Estimating</p>;
  const reused = estimate.kept > 0 ? `, ${number(estimate.kept)} already answered` : "";
  return (
    <div class="hint num" role="status">
      {options.trainer === undefined &&
        `${plural(estimate.passages, "passage")} of ${plural(estimate.documents, "document")}: `}
      {plural(estimate.requests, "request")}
      {reused}, about {number(estimate.tokens)} tokens
      {estimate.money > 0 && ` (${number(estimate.money, 2)})`}, at most {number(estimate.mostTokens)}.
      {estimate.leftOut.slice(0, 5).map((sentence) => (
        <div key={sentence}>Left out: {clean(sentence, 300)}</div>
      ))}
    </div>
  );
}

function Documents({
  paths,
  change,
}: {
  paths: readonly string[];
  change: (paths: readonly string[]) => void;
}) {
  const [over, setOver] = useState(false);
  const { busy, error, attempt } = useAttempt();
  const [typed, setTyped] = useState("");
  const take = (files: readonly File[]): Promise<void> =>
    attempt(async () => {
      let all = paths;
      for (const file of files) {
        const query = new URLSearchParams({ name: file.name });
        const { path } = await api<{ path: string }>(`/making/documents?${query}`, { method: "POST", file });
        all = [...all, path];
        change(all);
      }
    });
  const add = (): void => {
    const path = typed.trim();
    if (path !== "" && !paths.includes(path)) change([...paths, path]);
    setTyped("");
  };
  return (
    <fieldset class="making-part">
      <legend>Documents</legend>
      <div
        class={over ? "making-drop making-drop-over" : "making-drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take([...(event.dataTransfer?.files ?? [])]);
        }}
      >
        <FileButton multiple input="Documents" accept={DOCUMENTS} busy={busy} take={take}>
          Choose documents
        </FileButton>
        <span class="hint">or drop them here: Markdown, text, HTML, PDF, DOCX</span>
      </div>
      <div class="making-folder">
        <Field label="Or a folder of the project" for="making-folder">
          <input
            id="making-folder"
            class="ui-input"
            value={typed}
            placeholder="docs"
            onInput={(event) => setTyped(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              add();
            }}
          />
        </Field>
        <Button disabled={typed.trim() === ""} onClick={add}>
          Add
        </Button>
      </div>
      {error !== null && <ErrorNote error={error} />}
      {paths.length > 0 && (
        <ul class="making-paths">
          {paths.map((path) => (
            <li key={path}>
              <bdi>{clean(path, 200)}</bdi>
              <Button
                small
                kind="quiet"
                icon="close"
                aria-label={`Remove ${clean(path, 100)}`}
                onClick={() => change(paths.filter((other) => other !== path))}
              />
            </li>
          ))}
        </ul>
      )}
    </fieldset>
  );
}

/** The teacher's model; its own list is requested when the field gets the focus: the address is complete by then. */
function TeacherModel({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }) {
  const [models, setModels] = useState<readonly string[]>([]);
  const { error, attempt } = useAttempt();
  const list = (): Promise<void> =>
    attempt(async () => {
      setModels([]);
      const body = { teacher: draft.teacher.trim(), keyEnv: draft.keyEnv.trim() || null };
      setModels((await api<{ models: string[] }>("/making/models", { method: "POST", body })).models);
    });
  return (
    <Text
      label="Model"
      value={draft.model}
      list={models}
      hint={error === null ? undefined : clean(error, 300)}
      focused={() => void list()}
      change={(model) => change({ model })}
    />
  );
}

interface TextProps {
  label: string;
  value: string;
  list?: readonly string[];
  focused?: () => void;
  hint?: string | undefined;
  numeric?: boolean;
  change: (value: string) => void;
}

function Text({ label, value, list, focused, hint, numeric, change }: TextProps) {
  const id = `making-${label.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return (
    <Field label={label} for={id} hint={hint}>
      <input
        id={id}
        class="ui-input"
        inputMode={numeric ? "decimal" : "text"}
        value={value}
        spellcheck={false}
        autocomplete="off"
        list={list && `${id}-list`}
        onFocus={focused}
        onInput={(event) => change(event.currentTarget.value)}
      />
      {list && (
        <datalist id={`${id}-list`}>
          {list.map((item) => (
            <option key={item} value={item} />
          ))}
        </datalist>
      )}
    </Field>
  );
}
