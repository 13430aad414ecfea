/** Judging rows one after another: verdict, tags and comment, and the next row of the queue. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useActions } from "../../../actions/actions";
import { api, errorText, isAbort } from "../../../api/client";
import type {
  Review,
  ReviewedRow,
  ReviewSummary,
  RowEmbeddings,
  SurprisingRow,
  Trainer,
} from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { route, setQuery } from "../../../router";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { Select } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import type { OpenedView } from "../view";
import { Losses, lossesPath } from "./losses";
import type { Marks } from "./marks";
import {
  agreementWords,
  countWords,
  DONE,
  QUEUES,
  type Queue,
  queueOf,
  reviewWords,
  rubricWords,
  tagsOf,
  type Verdict,
} from "./words";
import "./judge.css";

interface Props {
  opened: OpenedView;
  trainer: Trainer;
  chosen: number;
  marks: Marks;
  choose: (row: number) => void;
  close: () => void;
}

/** What a judgement replaced, so that it can be undone. */
interface Before {
  row: number;
  hash: string;
  file: string;
  by: string;
  review: Review | undefined;
}

const undoStack: Before[] = [];
const MOST = 500;
/** Maximum number of rows that are ordered by the model's loss, and how many are requested at once. */
const UNCERTAIN = 1000;
const AMONG = 500;

export function Judge({ opened, trainer, chosen, marks, choose, close }: Props) {
  const { query } = route.value;
  const queue = queueOf(query.get("judge"));
  const tag = query.get("tag") ?? "";
  const under = query.get("under") ?? "";
  const [summary, setSummary] = useState<ReviewSummary | null>(null);
  const [row, setRow] = useState<ReviewedRow | null>(null);
  const [tags, setTags] = useState("");
  const [comment, setComment] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [note, setNote] = useState("");
  /** Judgements are written one after another; none is accepted while the next row is being searched for. */
  const writing = useRef(Promise.resolve());
  const moving = useRef(false);
  const [loads, setLoads] = useState(0);
  const [tagField, commentField] = [useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null)];
  const by = query.get("by") ?? summary?.by ?? "";
  const name = by || "somebody";
  const mine = row?.reviews.find((review) => (review.by ?? "") === name);

  const load = (signal?: AbortSignal): void => {
    const params = new URLSearchParams({ trainer: trainer.name });
    const failed = (failure: unknown): void => {
      if (!isAbort(failure)) setError(errorText(failure));
    };
    const options = signal ? { signal } : {};
    api<ReviewSummary>(`/data/reviews?${params}`, options).then((loaded) => {
      setSummary(loaded);
      setError(null);
    }, failed);
  };
  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal);
    return () => abort.abort();
  }, [trainer.name]);
  useEffect(() => {
    if (summary === null) return undefined;
    const abort = new AbortController();
    const params = new URLSearchParams({ trainer: trainer.name, row: String(chosen) });
    const find = async (): Promise<ReviewedRow> => {
      // Only the backend knows the hash of a row from outside the project.
      if (chosen > summary.rows)
        params.set("entry", (await opened.tokens(chosen, abort.signal)).exclusion?.entry ?? "");
      return api<ReviewedRow>(`/data/reviews/row?${params}`, { signal: abort.signal });
    };
    find().then(
      (loaded) => {
        const own = loaded.reviews.find((review) => (review.by ?? "") === name);
        setRow(loaded);
        setTags((own?.tags ?? []).join(", "));
        setComment(own?.comment ?? "");
        setError(null);
      },
      (failure: unknown) => {
        if (!isAbort(failure)) setError(errorText(failure));
      },
    );
    return () => abort.abort();
  }, [trainer.name, chosen, name, loads, summary === null]);

  const attempt = (work: () => Promise<void>): void => {
    setNote("");
    writing.current = writing.current.then(work).catch((failure: unknown) => setError(errorText(failure)));
  };
  const nextOf = async (want: string, after: number, tagged: string, among = ""): Promise<number | null> => {
    const criteria = { trainer: trainer.name, after: String(after), want, by: name, tag: tagged, among };
    return (await api<{ row: number | null }>(`/data/reviews/next?${new URLSearchParams(criteria)}`)).row;
  };
  /** The next row of a queue. Rows from outside the project, whose judgements are not counted, are gone through one
   * by one after the project's own. */
  const following = async (want: Queue, after: number, tagged: string): Promise<number | null> => {
    const own = summary?.rows ?? 0;
    const outside = Math.max(after, own) + 1;
    const some = want === "unseen" && tagged === "" && outside <= opened.count;
    const row = some && after >= own ? null : await nextOf(want, after, tagged);
    return row ?? (some ? outside : null);
  };
  /** The unseen row with the highest loss; with `after` on screen, the one behind that. Undefined before losses
   * are measured. */
  const uncertain = async (after: number, tagged: string): Promise<number | null | undefined> => {
    const { losses } = await opened.get<{ losses: RowEmbeddings }>(lossesPath(under));
    if (losses.state !== "completed") return undefined;
    const params = new URLSearchParams({ count: String(UNCERTAIN), ...(under ? { job: under } : {}) });
    const { surprising } = await opened.get<{ surprising: SurprisingRow[] }>(`/surprising?${params}`);
    const rows = surprising.map(({ row }) => row);
    const from = after === chosen ? rows.indexOf(chosen) + 1 : 0;
    const order = [...rows.slice(from), ...rows.slice(0, from)];
    for (let start = 0; start < order.length; start += AMONG) {
      const row = await nextOf("unseen", 0, tagged, order.slice(start, start + AMONG).join(","));
      if (row !== null) return row;
    }
    return null;
  };
  const goOn = async (after: number, want: Queue = queue, tagged = tag): Promise<void> => {
    const row = want === "uncertain" ? await uncertain(after, tagged) : await following(want, after, tagged);
    if (row === undefined) setNote("The model's losses are not measured yet.");
    else if (row === null || (row === chosen && after === chosen))
      setNote(
        want === "unseen" && summary?.rows
          ? `${clean(name, 60)} has judged every row.`
          : want === "uncertain"
            ? `${clean(name, 60)} has judged the rows that surprise the model most.`
            : "No other row here.",
      );
    else choose(row);
  };
  // A link to a queue names no row and means its first one.
  const begins = summary !== null && query.get("row") === null;
  useEffect(() => {
    if (begins) attempt(() => goOn(0));
  }, [begins]);
  const write = async (review: Omit<Review, "row" | "at">, hash: string): Promise<void> => {
    await api("/data/reviews", { method: "POST", body: { ...review, row: hash } });
    marks.refresh();
    load();
  };
  // The row on screen, not another that is still loading.
  const ready = row !== null && row.row === chosen && row.hash !== "";
  const judge = (verdict: Verdict | undefined, next: boolean): void => {
    if (!row || !ready || moving.current) return;
    moving.current = next;
    const { hash, file } = row;
    attempt(async () => {
      const details = { file, by: name, tags: tagsOf(tags), comment: comment.trim() };
      try {
        await write(verdict === undefined ? details : { ...details, verdict }, hash);
        setError(null);
        setLoads((count) => count + 1);
        if (!next || verdict === undefined) return;
        undoStack.push({ row: chosen, hash, file, by: name, review: mine });
        if (undoStack.length > MOST) undoStack.shift();
        announce(`${DONE[verdict]} row ${number(chosen)}`);
        await goOn(chosen);
      } finally {
        moving.current = false;
      }
    });
  };
  const undo = (): void =>
    attempt(async () => {
      const last = undoStack.at(-1);
      if (!last) return;
      const { file, hash, review } = last;
      const { row: _, at: __, made: ___, ...before } = review ?? { row: hash };
      await write({ file, ...before, by: last.by }, hash);
      undoStack.pop();
      setLoads((count) => count + 1);
      announce(`Undid the judgement of row ${number(last.row)}`);
      choose(last.row);
    });
  /** Tags and comment are stored with the current verdict. */
  const keep = (): void => {
    const known = [(mine?.tags ?? []).join(", "), mine?.comment ?? ""];
    if (tagsOf(tags).join(", ") !== known[0] || comment.trim() !== known[1]) judge(mine?.verdict, false);
  };
  const when = (): boolean => ready;
  useActions("Judge rows", [
    { name: "judge.accept", label: "Accept row", keys: "a", when, run: () => judge("accepted", true) },
    { name: "judge.reject", label: "Reject row", keys: "r", when, run: () => judge("rejected", true) },
    { name: "judge.flag", label: "Flag row", keys: "f", when, run: () => judge("flagged", true) },
    { name: "judge.tag", label: "Tag row", keys: "t", run: () => tagField.current?.focus() },
    { name: "judge.comment", label: "Comment on row", keys: "c", run: () => commentField.current?.focus() },
    { name: "judge.skip", label: "Next row to judge", keys: "s", run: () => attempt(() => goOn(chosen)) },
    {
      name: "judge.undo",
      label: "Undo the last judgement",
      keys: "u",
      when: () => undoStack.length > 0,
      run: () => undo(),
    },
  ]);
  const onKeyDown = (event: KeyboardEvent & { currentTarget: HTMLInputElement }): void => {
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.currentTarget.blur();
  };
  if (error !== null && summary === null)
    return (
      <ErrorNote title="Rows can't be judged" error={error} retry={() => load()}>
        <Button small onClick={close}>
          Close
        </Button>
      </ErrorNote>
    );
  const verdict = (value: Verdict, label: string, key: string) => (
    <Button
      small
      disabled={row === null}
      busy={row !== null && !ready} // while the next row is loading; keeps the focus, unlike disabled
      aria-pressed={mine?.verdict === value}
      aria-keyshortcuts={key}
      title={`${label} (${key})`}
      class={`judge-verdict judge-${value}`}
      onClick={() => judge(value, true)}
    >
      {label}
    </Button>
  );
  const others = mine?.verdict === undefined ? [] : (row?.reviews.filter((review) => review !== mine) ?? []);
  const hidden = (row?.reviews.filter((review) => review !== mine).length ?? 0) - others.length;
  return (
    <section class="judge" aria-label="Judge rows">
      <div class="judge-line">
        <span class="judge-verdicts" role="group" aria-label={`Verdict on row ${number(chosen)}`}>
          {verdict("accepted", "Accept", "a")}
          {verdict("rejected", "Reject", "r")}
          {verdict("flagged", "Flag", "f")}
        </span>
        <input
          ref={tagField}
          class="ui-input judge-tags"
          aria-label="Tags, separated by commas"
          placeholder="Tags (t)"
          list="judge-known-tags"
          maxLength={1000}
          disabled={row === null}
          value={tags}
          onInput={(event) => setTags(event.currentTarget.value)}
          onBlur={keep}
          onKeyDown={onKeyDown}
        />
        <datalist id="judge-known-tags">
          {summary?.tags.map((entry) => (
            <option key={entry.name} value={clean(entry.name, 50)} />
          ))}
        </datalist>
        <input
          ref={commentField}
          class="ui-input judge-comment"
          aria-label="Comment"
          placeholder="Comment (c)"
          maxLength={2000}
          disabled={row === null}
          value={comment}
          onInput={(event) => setComment(event.currentTarget.value)}
          onBlur={keep}
          onKeyDown={onKeyDown}
        />
      </div>
      <div class="judge-line">
        <label class="judge-label">
          Go through{" "}
          <Select
            value={queue}
            options={QUEUES.filter(
              ([value]) => value !== "uncertain" || features.value.has("embeddings"),
            ).map(([value, words]) => {
              const count = summary?.[value === "uncertain" ? "unseen" : value];
              return [value, count === undefined ? words : `${words} (${number(count)})`];
            })}
            onChange={(value) => {
              const wanted = queueOf(value);
              setQuery({ judge: wanted });
              attempt(() => goOn(chosen - 1, wanted));
            }}
          />
        </label>
        {((summary?.tags.length ?? 0) > 0 || tag !== "") && (
          <label class="judge-label">
            with the tag{" "}
            <Select
              value={tag}
              options={[
                ["", "any"],
                ...[
                  ...new Set([...(summary?.tags ?? []).map((entry) => entry.name), ...(tag ? [tag] : [])]),
                ].map((option) => [option, clean(option, 50)] as const),
              ]}
              onChange={(wanted) => {
                setQuery({ tag: wanted || null });
                attempt(() => goOn(chosen - 1, queue, wanted));
              }}
            />
          </label>
        )}
        <Button small kind="quiet" title="Next row to judge (s)" onClick={() => attempt(() => goOn(chosen))}>
          Next
        </Button>
        {undoStack.length > 0 && (
          <Button small kind="quiet" title="Undo the last judgement (u)" onClick={() => undo()}>
            Undo
          </Button>
        )}
        <label class="judge-label judge-name">
          as{" "}
          <input
            class="ui-input"
            aria-label="Your name"
            maxLength={100}
            value={by}
            placeholder="Your name"
            onChange={(event) => setQuery({ by: event.currentTarget.value.trim() || null })}
          />
        </label>
        <Button small kind="quiet" onClick={close}>
          Done
        </Button>
      </div>
      {queue === "uncertain" && (
        <Losses
          {...{ opened, trainer }}
          job={under}
          choose={(job) => setQuery({ under: job || null })}
          measured={() => attempt(() => goOn(0))}
        />
      )}
      <p class="judge-words hint num" role="status">
        {note ||
          (row && row.hash === "" && row.row === chosen
            ? "This row can't be read, so it can't be judged."
            : summary?.rows
              ? countWords(summary)
              : "")}
      </p>
      {error !== null && <ErrorNote title="Not judged" error={error} />}
      {row?.made !== undefined && (
        <p class="hint">A program made this row{madeBy(row.made)}. It is trained on once it is accepted.</p>
      )}
      {typeof row?.made?.quote === "string" && (
        <p class="hint">
          Its quote, which is in the document: “{clean(row.made.quote, 600)}”. Whether the answer follows from
          it was not checked.
        </p>
      )}
      {others.map((review) => (
        <p key={review.by ?? ""} class="hint">
          {reviewWords(review)}
        </p>
      ))}
      {hidden > 0 && <p class="hint">Others have judged it: shown after your verdict.</p>}
      {summary?.rubrics.map((rubric) => (
        <p key={rubric.by} class="hint num">
          {rubricWords(rubric)}
        </p>
      ))}
      {summary?.agreement.map((agreement) => (
        <p key={agreement.people.join("\n")} class="hint num">
          {agreementWords(agreement)}
        </p>
      ))}
    </section>
  );
}

/** ` (by qwen3, from docs/faq.md)`, with the parts that the mark has. */
function madeBy(mark: Readonly<Record<string, unknown>>): string {
  const parts = (["by", "model", "from", "source"] as const)
    .map((key) => mark[key])
    .filter((value): value is string => typeof value === "string" && value !== "");
  return parts.length > 0 ? ` (${parts.map((value) => clean(value, 100)).join(", ")})` : "";
}
