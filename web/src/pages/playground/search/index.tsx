/** The playground of embedders and rerankers: a query, and the job's held-out documents ranked for it. */
import "../scored.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, errorText, isAbort, useAnswer } from "../../../api/client";
import type { AdapterTarget } from "../../../chat/model/types";
import { nameTarget, targetKey } from "../../../chat/targets";
import type { EvaluationResult, SearchResult } from "../../../contract.gen";
import { plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { fitHeight, sendsOn } from "../../../lib/textarea";
import { features } from "../../../store/features";
import { jobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { submits } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import { Examples } from "../examples";
import { BEST, type Hit, linesOf, merged, pairsOf, SEARCHED, textsFor } from "./texts";

/** Results that are shown at first. */
const FIRST = 10;
/** Texts in a call: few, so that the page can say how far it is. */
const AT_ONCE = 50;
/** Characters of a text that are shown at first. */
const SHORT = 240;

interface Asked {
  query: string;
  texts: string[];
  /** The document that the held-out row of an embedder has for the query. */
  right: Set<string>;
  reranks: boolean;
}

export function Search({ targets }: { targets: readonly AdapterTarget[] }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [query, setQuery] = useState("");
  const [own, setOwn] = useState("");
  const [asked, setAsked] = useState<Asked | null>(null);
  useEffect(() => fitHeight(area.current), [query]);
  const id = targets[0]?.jobId ?? "";
  const stored = features.value.has("evaluation");
  const { answer, error } = useAnswer(
    async (signal) =>
      stored ? api<EvaluationResult>(`/jobs/${encodeURIComponent(id)}/evaluation`, { signal }) : null,
    [id, stored],
  );
  const pairs = pairsOf(answer?.rows);
  const reading = stored && answer === null && error === null;
  const reranks = jobs.value.find((job) => job.id === id)?.config?.method === "rerank";
  const documents = new Set(pairs.map(({ document }) => document)).size;
  const lines = linesOf(own).length;
  const ready = query.trim() !== "" && documents + lines > 0;
  const search = (query: string): void => {
    // Scored pairs and a reranker's rows may be wrong ones on purpose.
    const found = answer?.evaluation?.heldOut?.retrieved ? pairs.filter((pair) => pair.query === query) : [];
    setAsked({
      query,
      texts: textsFor(query, pairs, own, reranks),
      right: new Set(found.map(({ document }) => document)),
      reranks,
    });
  };
  const submit = (): void => {
    if (ready) search(query.trim());
  };
  return (
    <div class="scored">
      <form class="scored-form" onSubmit={submits(submit)}>
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          maxLength={2000}
          aria-label="Query"
          placeholder="Query"
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (!sendsOn(event)) return;
            event.preventDefault();
            submit();
          }}
        />
        <Button kind="primary" type="submit" disabled={!ready}>
          Search
        </Button>
        {reading && <p class="hint">Reading the held-out rows …</p>}
        {!reading && (
          <details open={documents === 0}>
            <summary>
              {documents > 0
                ? `Searched: ${plural(documents, "held-out document")}${lines > 0 ? `, ${plural(lines, "own line")}` : ""}`
                : "This job has no held-out rows to search: paste texts"}
            </summary>
            <textarea
              rows={4}
              dir="auto"
              aria-label="Own texts, one per line"
              placeholder="Own texts, one per line"
              value={own}
              onInput={(event) => setOwn(event.currentTarget.value)}
            />
            {documents + lines > SEARCHED && <p class="hint">Only the first {SEARCHED} are searched.</p>}
          </details>
        )}
      </form>
      <div class="scored-columns">
        {asked && targets.map((target) => <Ranked key={targetKey(target)} target={target} asked={asked} />)}
      </div>
      <Examples
        title="Held-out queries to try"
        examples={[...new Set(pairs.map(({ query }) => query))].map((text) => ({
          text,
          choose: () => {
            setQuery(text);
            search(text);
          },
        }))}
      />
    </div>
  );
}

interface State {
  best: Hit[];
  read: number;
  error: string | null;
}

const NOTHING: State = { best: [], read: 0, error: null };

function Ranked({ target, asked }: { target: AdapterTarget; asked: Asked }) {
  const [{ best, read, error }, setState] = useState<State>(NOTHING);
  const [tries, setTries] = useState(0);
  const [all, setAll] = useState(false);
  const { query, texts, right, reranks } = asked;
  useEffect(() => {
    const abort = new AbortController();
    const { strength: _, ...adapter } = target;
    const search = async (): Promise<void> => {
      let best: Hit[] = [];
      for (let from = 0; from < texts.length; from += AT_ONCE) {
        const part = texts.slice(from, from + AT_ONCE);
        const answer = await api<SearchResult>("/inference/search", {
          method: "POST",
          body: { adapter, query, texts: part },
          signal: abort.signal,
        });
        best = merged(best, answer, from, part.length);
        setState({ best, read: from + part.length, error: null });
      }
    };
    setState(NOTHING);
    search().catch((failure: unknown) => {
      if (!isAbort(failure)) setState({ ...NOTHING, error: errorText(failure) });
    });
    return () => abort.abort();
  }, [targetKey(target), asked, tries]);
  const { name, part } = nameTarget(target, jobs.value);
  const title = `${name}, ${part}`;
  const busy = error === null && read < texts.length;
  return (
    <section aria-label={title} aria-busy={busy}>
      <h2 class="scored-title">{title}</h2>
      {error === null && (
        <p class="hint" role="status">
          {read === 0
            ? "Loading the model, or reading the texts …"
            : busy
              ? `${read} of ${texts.length} texts read …`
              : `${plural(texts.length, "text")}${texts.length > BEST ? `, the best ${BEST}` : ""}, by ${reranks ? "relevance" : "cosine"}`}
        </p>
      )}
      {error !== null && <ErrorNote error={error} retry={() => setTries((count) => count + 1)} />}
      {best.length > 0 && (
        <ol class="scored-list">
          {best.slice(0, all ? best.length : FIRST).map(({ place, score }, rank) => {
            const text = texts[place] ?? "";
            return (
              <li key={place} class={rank === 0 ? "scored-first" : ""}>
                <Text text={text} />
                <span class="num">{score.toFixed(3)}</span>
                <span class="scored-bar" aria-hidden="true">
                  <span style={{ width: `${100 * Math.min(1, Math.max(0, score))}%` }} />
                </span>
                {right.has(text) && <span class="scored-note">Right in the data</span>}
                {reranks && rank !== place && !busy && (
                  <span class="scored-note">Place {place + 1} before</span>
                )}
              </li>
            );
          })}
        </ol>
      )}
      {best.length > FIRST && !all && (
        <Button small onClick={() => setAll(true)}>
          Show all {best.length}
        </Button>
      )}
    </section>
  );
}

function Text({ text }: { text: string }) {
  const [whole, setWhole] = useState(false);
  return (
    <span class="scored-text">
      <bdi>{clean(text, whole ? text.length : SHORT)}</bdi>
      {text.length > SHORT && !whole && (
        <Button small onClick={() => setWhole(true)}>
          Whole text
        </Button>
      )}
    </span>
  );
}
