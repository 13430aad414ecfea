/** A view with its figures, its lengths, its findings, and the selected row. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useActions } from "../../actions/actions";
import { api, errorText, isAbort } from "../../api/client";
import type { DataCheck, DatasetView, EditableRow, Finding, MixedSource, Trainer } from "../../contract.gen";
import { number, plural } from "../../lib/format";
import { INVALID } from "../../lib/invalid-rows";
import { late } from "../../lib/late";
import { clean } from "../../lib/text";
import { href, route, setQuery } from "../../router";
import { features } from "../../store/features";
import { manifest, reloadManifest } from "../../store/manifest";
import { applySettings, drafted } from "../../store/trainer-draft";
import { Button } from "../../ui/controls/button";
import { announce, say } from "../../ui/controls/live";
import { Skeleton } from "../../ui/skeleton";
import type { Mode } from "./edit";
import { redoable, step, undoable, write } from "./edit/history";
import { exclude as setExcluded } from "./exclude";
import { figuresAt, unreadableIn } from "./figures";
import { type Filter, Filters, sourcesOf } from "./filters";
import { Findings, merged, type Remedy } from "./findings";
import { Histogram } from "./histogram";
import { Marks } from "./judge/marks";
import { type Matches, positionOf, useMatches } from "./matches";
import { Rows } from "./rows";
import { Row, rolesOf } from "./tokens";
import type { OpenedView, Search } from "./view";

const FALLBACK_CUT = 512;
const useEditor = late(() => import("./edit"));
const useJudge = late(() => import("./judge"));
const useMeaning = late(() => import("./meaning"));
const useForget = late(() => import("./forget"));

export function Progress({ view }: { view: DatasetView | null }) {
  const progress = view?.progress;
  if (!view || view.state === "ready") return null;
  if (view.state === "opening") {
    const share = progress?.total ? ` ${Math.floor((100 * progress.done) / progress.total)} %` : "";
    return (
      <p class="hint num" role="status">
        {progress ? `${clean(progress.label, 200)}${share}` : "Loading the tokenizer"}
      </p>
    );
  }
  return (
    <p class="hint num data-progress">
      <progress max={view.indexed} value={view.read} aria-label="Rows read" /> {number(view.read)} of{" "}
      {view.rows === null ? `${number(view.indexed)} or more` : number(view.rows)} rows read
    </p>
  );
}

export function Dataset({
  opened,
  view,
  trainer,
  ways,
}: {
  opened: OpenedView;
  view: DatasetView;
  trainer: Trainer;
  /** Links to other ways to get or to judge rows. */
  ways: ComponentChildren;
}) {
  const requested = Number(route.value.query.get("row")) || 1;
  const chosen = Math.min(Math.max(1, requested), view.indexed);
  const labeled = opened.row(chosen)?.label !== undefined;
  const [moved, setMoved] = useState<number | null>(null);
  const cut = moved ?? view.maxLength ?? FALLBACK_CUT;
  const lengths = opened.lengths.value;
  const field = useRef<HTMLInputElement>(null);
  const side = useRef<HTMLElement>(null);
  const [typed, setTyped] = useState("");
  const [filter, setFilter] = useState<Filter>({});
  const [note, setNote] = useState("");
  const last = useRef<number | null>(null);
  const searching = useRef<AbortController | null>(null);
  useEffect(() => () => searching.current?.abort(), []);

  const [mode, setMode] = useState<Mode | null>(null);
  const [fixing, setFixing] = useState<{ code: string; row?: number | undefined } | null>(null);
  const editor = useEditor(mode !== null || fixing !== null);
  const judging = route.value.query.get("judge") !== null;
  const judge = useJudge(judging);
  const embeds = features.value.has("embeddings");
  const meant = embeds && route.value.query.get("meaning") !== null;
  const meaning = useMeaning(meant);
  const pressed = useRef(false);
  const marks = useMemo(() => (judging ? new Marks(trainer.name) : null), [judging, trainer.name]);
  // The rows are those of the file, not of a different data set chosen for the next run.
  const ofFile =
    JSON.stringify(drafted(trainer).config?.datasetSource) === JSON.stringify(trainer.config?.datasetSource);
  const forgets = ofFile && features.value.has("forget");
  const [forgetting, setForgetting] = useState(false);
  const forget = useForget(forgetting);
  const inFile = useCheck(trainer, ofFile && view.state !== "opening" ? view.id : null);
  const checked = ofFile ? inFile.check : null;
  const findings = merged(checked?.findings ?? [], view.findings);
  const figures = figuresAt(view, lengths, cut, unreadableIn(findings));
  const skips = drafted(trainer).config?.skipBadRows === true;
  const longest = lengths ? lengths.rows.length - 1 : 0;
  const remedyOf = ({ code }: Finding): Remedy | null => {
    if (code === "wrong-keys" && trainer.unmapped)
      return { label: "Map columns", run: () => document.getElementById("map-prompt")?.focus() };
    if (INVALID.has(code))
      return skips
        ? { done: "The next run skips them." }
        : { label: "Skip invalid rows", run: () => applySettings(trainer, { skipBadRows: true }) };
    const room = Math.min(longest, view.context ?? longest);
    if ((code === "cut" || code === "answer-cut-away") && room > (view.maxLength ?? room))
      return { label: `Set max_length to ${number(room)}`, run: () => use(room) };
    return null;
  };
  const exclude =
    ofFile && manifest.value?.revision !== undefined
      ? (rows: readonly number[], excluded: boolean): void => {
          setNote("");
          setExcluded(trainer, opened, rows, excluded).catch((failure: unknown) =>
            setNote(errorText(failure)),
          );
        }
      : null;
  const editable = ofFile && manifest.value?.source === "arkor.toml";
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setNote("");
    try {
      await work();
    } catch (failure) {
      setNote(errorText(failure));
    }
  };
  const shows = async (row: number): Promise<void> => {
    setMode(null);
    await opened.refresh();
    setQuery({ row: Math.max(1, row) });
    void reloadManifest().catch(() => undefined);
  };
  const change = (what: "duplicate" | "delete"): Promise<void> =>
    attempt(async () => {
      const query = new URLSearchParams({ trainer: trainer.name, row: String(chosen) });
      const { source, entry, problem } = await api<EditableRow>(`/data/row?${query}`);
      if (!entry) throw new Error(problem ?? "This row can't be edited.");
      const address = { source, entry };
      const [done, label] =
        what === "delete"
          ? [{ ...address, delete: true as const }, `Deleted row ${number(chosen)}`]
          : [{ ...address, insert: true as const }, `Duplicated row ${number(chosen)}`];
      await write(trainer.name, [done], label, chosen);
      say(label);
      await shows(what === "delete" ? Math.min(chosen, view.indexed - 1) : chosen + 1);
    });
  const merge = (): Promise<void> =>
    attempt(async () => {
      const { mergeWithNext } = await import("./edit");
      say(await mergeWithNext(trainer.name, chosen));
      await shows(chosen);
    });
  const goBack = (back: boolean): Promise<void> =>
    attempt(async () => {
      const done = await step(back);
      if (!done) return;
      say(`${back ? "Undone" : "Redone"}: ${done.label}`);
      await shows(done.row);
    });
  const use = (maxLength: number): void => {
    applySettings(trainer, { maxLength });
    announce(`The next run has max_length ${number(maxLength)}`);
  };
  const beginJudging = (): void => setQuery({ judge: "unseen" });
  const endJudging = (): void => {
    setQuery({ judge: null, tag: null });
    // Judgements decide which rows are trained on.
    void opened.refresh();
  };
  const choose = (row: number): void => {
    setNote("");
    setQuery({ row: Math.min(Math.max(1, row), view.indexed) });
  };
  const filtered = Object.keys(filter).length > 0;
  const matches = useMatches(
    opened,
    filtered ? { want: filter.code === undefined ? "text" : "finding", ...filter } : null,
  );
  const searched = matches !== null && matches.reached >= view.indexed;
  /** The row from before the filter, and the match that was shown instead of it. */
  const jump = useRef<{ from: number; to: number | null } | null>(null);
  const filterBy = (next: Filter): void => {
    setNote("");
    setFilter(next);
    setTyped(next.text ?? "");
    const from = jump.current?.to === chosen ? jump.current.from : chosen;
    jump.current = { from, to: null };
    if (Object.keys(next).length > 0) return;
    jump.current = null;
    choose(from);
  };
  useEffect(() => {
    if (!matches || !jump.current || jump.current.to !== null) return;
    const row = matches.rows[positionOf(matches.rows, chosen)] ?? (searched ? matches.rows[0] : undefined);
    if (row === undefined) return;
    jump.current.to = row;
    if (row !== chosen) choose(row);
  }, [matches, searched]);
  /** Selects the next row, or the one before; of those that match, if there is a filter. */
  const move = (by: 1 | -1): void => {
    if (!matches) return choose(chosen + by);
    const { rows } = matches;
    const at = positionOf(rows, chosen);
    const row = rows[by < 0 || rows[at] === chosen ? at + by : at];
    if (row !== undefined) choose(row);
  };
  const find = async (search: Search, none: string, after = chosen): Promise<number | null> => {
    searching.current?.abort();
    const abort = new AbortController();
    searching.current = abort;
    setNote("");
    try {
      const row = await opened.find(search, after, abort.signal);
      setNote(row !== null ? "" : view.read === 0 ? "No row has been read yet." : none);
      if (row !== null) {
        setQuery({ row });
        announce(`Row ${number(row)}`);
      }
      return row;
    } catch (failure) {
      if (!isAbort(failure)) setNote(errorText(failure));
      return null;
    }
  };
  // Pressed again, it continues with the next shorter one.
  const findLongest = async (): Promise<void> => {
    const after = last.current === chosen ? chosen : 0;
    last.current = await find({ want: "longest" }, "No row is shorter.", after);
  };
  const showMeaning = (): void => {
    pressed.current = true;
    setQuery({ meaning: "1" });
    document.getElementById("data-meaning")?.focus();
  };
  const showGroup = (group: number): void => {
    if (filter.group === group) move(1);
    else filterBy({ group });
  };
  const nextCut = (): void =>
    void find({ want: "longer", than: cut }, `No row is longer than ${number(cut)}.`);
  useActions("Data", [
    { name: "data.next", label: "Next row", keys: "j", hidden: true, run: () => move(1) },
    { name: "data.previous", label: "Previous row", keys: "k", hidden: true, run: () => move(-1) },
    {
      name: "data.longest",
      label: "Longest row, then the next shorter one",
      keys: "l",
      run: () => void findLongest(),
    },
    { name: "data.cut", label: "Next truncated row", keys: "x", run: nextCut },
    {
      name: "data.edit",
      label: "Edit row",
      keys: "e",
      when: () => editable && mode === null,
      run: () => setMode("edit"),
    },
    {
      name: "data.add",
      label: "Add a row after this one",
      keys: "n",
      when: () => editable && mode === null,
      run: () => setMode("add"),
    },
    {
      name: "data.duplicate",
      label: "Duplicate row",
      when: () => editable,
      run: () => void change("duplicate"),
    },
    {
      name: "data.merge",
      label: "Merge row with the next one",
      when: () => editable && chosen < view.indexed,
      run: () => void merge(),
    },
    { name: "data.delete", label: "Delete row", when: () => editable, run: () => void change("delete") },
    {
      name: "data.undo",
      label: "Undo the last change of a row",
      keys: "u",
      when: () => undoable.value.length > 0,
      run: () => void goBack(true),
    },
    {
      name: "data.redo",
      label: "Redo it",
      keys: "U",
      when: () => redoable.value.length > 0,
      run: () => void goBack(false),
    },
    {
      name: "data.judge",
      label: "Judge rows",
      keys: "v",
      when: () => editable && !judging,
      run: beginJudging,
    },
    { name: "data.meaning", label: "Similar rows", keys: "m", when: () => embeds, run: showMeaning },
    { name: "data.search", label: "Search rows", keys: "/", run: () => field.current?.focus() },
  ]);
  const hrefOf = (row: number): string => href("/data", { trainer: trainer.name, row });
  return (
    <>
      <Progress view={view} />
      {meant && meaning && view.state !== "opening" && (
        <meaning.ByMeaning
          {...{ opened, chosen, choose, showGroup }}
          trainer={trainer.name}
          version={`${view.id} ${view.indexed}`}
          takesFocus={pressed.current}
          close={() => setQuery({ meaning: null })}
        />
      )}
      {forgetting && forget && (
        <forget.DeleteFromAdapter trainer={trainer} row={chosen} onClose={() => setForgetting(false)} />
      )}
      {fixing && editor && (
        <editor.FixDialog
          {...fixing}
          {...{ trainer: trainer.name, chosen }}
          written={(label) => {
            say(label);
            void shows(chosen);
          }}
          onClose={() => setFixing(null)}
        />
      )}
      <form
        class="data-tools"
        onSubmit={(event) => {
          event.preventDefault();
          const { text, code, ...rest } = filter;
          if (typed !== (text ?? "")) filterBy(typed ? { ...rest, text: typed } : rest);
          else if (filtered) move(1);
        }}
      >
        <input
          ref={field}
          class="ui-input data-search"
          type="search"
          aria-label="Search rows"
          placeholder="Search rows"
          maxLength={1000}
          value={typed}
          onInput={({ currentTarget: { value } }) => {
            setTyped(value);
            const { text, ...rest } = filter;
            if (value === "" && text !== undefined) filterBy(rest);
          }}
        />
        {/* Enter submits a form of several fields only if it has such a button. */}
        <button type="submit" hidden />
        <Filters
          filter={filter}
          set={(next) => filterBy(typed ? { ...next, text: typed } : next)}
          sources={sourcesOf(trainer)}
        />
        <Button small onClick={() => void findLongest()} title="Longest row, then the next shorter one (l)">
          Longest
        </Button>
        <Button small onClick={nextCut} title="Next truncated row (x)">
          Next truncated
        </Button>
        {embeds && !meant && (
          <Button small onClick={showMeaning} title="Similar rows, groups and a map (m)">
            By meaning
          </Button>
        )}
        {(undoable.value.length > 0 || redoable.value.length > 0) && (
          <>
            <Button
              small
              disabled={undoable.value.length === 0}
              title={undoable.value.at(-1)?.label ?? ""}
              onClick={() => void goBack(true)}
            >
              Undo
            </Button>
            <Button
              small
              disabled={redoable.value.length === 0}
              title={redoable.value.at(-1)?.label ?? ""}
              onClick={() => void goBack(false)}
            >
              Redo
            </Button>
          </>
        )}
        {editable && !judging && (
          <Button small title="Judge rows (v)" onClick={beginJudging}>
            Judge
          </Button>
        )}
        <Button
          small
          kind="quiet"
          class="data-jump"
          onClick={() => {
            side.current?.scrollIntoView();
            side.current?.focus({ preventScroll: true });
          }}
        >
          {findings.length > 0 ? plural(findings.length, "finding") : "Lengths"}
        </Button>
        <span class="data-note hint" role="status">
          {note || (matches && matchWords(matches, searched, filter.text, view.indexed))}
        </span>
        {filtered && (
          <Button small onClick={() => filterBy({})}>
            Show all rows
          </Button>
        )}
      </form>
      <div class="data-view">
        <Rows {...{ opened, chosen, cut, choose, marks }} only={matches?.rows} />
        <section class="data-one" aria-label="The row">
          {judging && judge && marks && editable && (
            <judge.Judge {...{ opened, trainer, chosen, marks, choose }} close={endJudging} />
          )}
          {mode !== null && editor ? (
            <editor.EditRow
              key={`${mode} ${chosen}`}
              {...{ opened, trainer, chosen, cut, mode }}
              written={(row) => void shows(row)}
              close={() => setMode(null)}
            />
          ) : (
            <Row
              {...{ opened, chosen, cut, exclude }}
              tools={
                <>
                  {embeds && (
                    <Button small kind="quiet" title="Similar rows (m)" onClick={showMeaning}>
                      Similar rows
                    </Button>
                  )}
                  {editable && (
                    <>
                      <Button small kind="quiet" title="Edit row (e)" onClick={() => setMode("edit")}>
                        Edit
                      </Button>
                      <Button
                        small
                        kind="quiet"
                        title="Add a row after this one (n)"
                        onClick={() => setMode("add")}
                      >
                        Add
                      </Button>
                      <Button small kind="quiet" onClick={() => void change("duplicate")}>
                        Duplicate
                      </Button>
                      {chosen < view.indexed && (
                        <Button small kind="quiet" onClick={() => void merge()}>
                          Merge with next
                        </Button>
                      )}
                      <Button small kind="quiet" onClick={() => void change("delete")}>
                        Delete
                      </Button>
                    </>
                  )}
                  {forgets && (
                    <Button small kind="quiet" onClick={() => setForgetting(true)}>
                      Delete from an adapter
                    </Button>
                  )}
                </>
              }
            />
          )}
          <Legend labeled={labeled} />
        </section>
        {mode === null && (
          <section class="data-side" aria-label="The data set" tabIndex={-1} ref={side}>
            <dl class="figures data-figures num">
              <Figure
                name="Rows"
                value={`${number(figures.rows)}${view.rows === null ? "+" : ""}`}
                note={figures.without}
              />
              <Figure
                name="Tokens"
                value={number(figures.tokens)}
                note={figures.truncated > 0 ? `${number(figures.truncated)} truncated` : rolesOf(view.roles)}
              />
              {!labeled && (
                <Figure
                  name="Learned"
                  value={
                    figures.tokens === 0 ? "–" : `${number((100 * figures.learned) / figures.tokens, 0)} %`
                  }
                  note={plural(figures.learned, "token")}
                />
              )}
              <Figure
                name="Mean row"
                value={figures.mean === null ? "–" : number(figures.mean)}
                note={longest > 0 ? `longest ${number(Math.min(longest, cut))}` : ""}
              />
            </dl>
            <Mixture sources={view.sources ?? []} />
            {/* What the row check leaves to the tokenizer. */}
            <Findings
              findings={findings}
              // What was found before an edit stays until the rows are checked again, with nothing to press.
              remedyOf={inFile.stale ? () => null : remedyOf}
              exclude={inFile.stale ? null : exclude}
              fix={editable && !inFile.stale ? (code, row) => setFixing({ code, row }) : null}
              leftOut={(checked?.leftOut ?? []).filter((sentence) => !sentence.includes("tokenizer"))}
              all={view.state === "ready"}
              hrefOf={hrefOf}
              filter={(code) => filterBy({ code })}
              canFilter={(code) => view.findings.some((finding) => finding.code === code)}
            />
            {lengths && figures.rows > 0 && lengths.read > 0 ? (
              <Histogram view={view} lengths={lengths} cut={cut} onCut={setMoved} onUse={use} />
            ) : (
              view.state !== "ready" && (
                <section class="data-lengths">
                  <h2>Row length in tokens</h2>
                  <Skeleton lines={4} height={20} />
                </section>
              )
            )}
            {ways}
          </section>
        )}
      </div>
    </>
  );
}

/**
 * The findings in the rows of the file, once view `id` of them is shown; without a response, only the tokenizer's are
 * listed. They are stale if they are those of an earlier view.
 */
function useCheck({ name }: Trainer, id: string | null): { check: DataCheck | null; stale: boolean } {
  const [checked, setChecked] = useState<{ check: DataCheck; id: string } | null>(null);
  useEffect(() => {
    if (id === null) return undefined;
    const abort = new AbortController();
    api<DataCheck>(`/manifest/data?${new URLSearchParams({ trainer: name })}`, { signal: abort.signal }).then(
      (check) => setChecked({ check, id }),
      (failure: unknown) => {
        if (!isAbort(failure)) setChecked(null);
      },
    );
    return () => abort.abort();
  }, [name, id]);
  return { check: checked?.check ?? null, stale: checked !== null && checked.id !== id };
}

/** `12 of 102 rows` */
function matchWords(
  { rows, error }: Matches,
  searched: boolean,
  text: string | undefined,
  all: number,
): string {
  if (error !== null) return error;
  if (rows.length > 0 || !searched)
    return `${number(rows.length)} of ${plural(all, "row")}${searched ? "" : ", searching"}`;
  return text ? `No row has “${clean(text, 60)}”.` : "No row fits.";
}

/** The sources of a data set that has several: their rows, and how often an epoch uses each. */
function Mixture({ sources }: { sources: readonly MixedSource[] }) {
  if (sources.length < 2) return null;
  return (
    <dl class="figures data-figures num" aria-label="Sources">
      {sources.map(({ name, rows, weight }, index) => (
        <Figure
          key={index}
          name={clean(name, 100)}
          value={number(rows)}
          note={weight === 0 ? "not trained on" : weight === 1 ? "" : `${number(weight, 2)}× in each epoch`}
        />
      ))}
    </dl>
  );
}

function Legend({ labeled }: { labeled: boolean }) {
  return (
    <span class="data-legend hint">
      {!labeled && (
        <>
          <span class="data-learned">learned</span> <span>ignored</span>{" "}
        </>
      )}
      <span class="data-cut">truncated</span> <span class="data-special">special</span>
    </span>
  );
}

function Figure({ name, value, note = "" }: { name: string; value: string; note?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span class="data-value">{value}</span>
        <span class="hint">{note}</span>
      </dd>
    </div>
  );
}
