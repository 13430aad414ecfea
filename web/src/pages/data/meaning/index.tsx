/** Rows by meaning: those like the row on screen, groups of similar ones, and a map. */
import { useEffect, useRef, useState } from "preact/hooks";
import { isAbort } from "../../../api/client";
import type { RowGroup, RowGroups, SimilarRow } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { href } from "../../../router";
import { Button } from "../../../ui/controls/button";
import { RequestProgress } from "../progress";
import type { OpenedView } from "../view";
import { RowsMap } from "./map";
import { countWords, groupsWords, isSmall, Meaning, titleOf } from "./meaning";
import "./meaning.css";

interface Props {
  opened: OpenedView;
  chosen: number;
  trainer: string;
  /** The view's id and version: rows that have changed are embedded anew. */
  version: string;
  choose: (row: number) => void;
  /** Finds the next row of a group. */
  showGroup: (group: number) => void;
  /** Whether the user opened it, rather than the page. */
  takesFocus: boolean;
  close: () => void;
}

export function ByMeaning({ opened, chosen, trainer, version, choose, showGroup, takesFocus, close }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (takesFocus) heading.current?.focus();
  }, []);
  const [meaning, setMeaning] = useState<Meaning | null>(null);
  useEffect(() => {
    const loader = new Meaning(opened);
    setMeaning(loader);
    return () => loader.close();
  }, [opened, version]);
  const state = meaning?.state.value ?? null;
  const groups = meaning?.groups.value ?? null;
  const map = meaning?.map.value ?? null;
  const completed = state?.state === "completed" && groups !== null;
  return (
    <section class="meaning" aria-labelledby="data-meaning">
      <header class="meaning-head">
        <h2 ref={heading} id="data-meaning" tabIndex={-1}>
          Rows by meaning
        </h2>
        <Button small kind="quiet" onClick={close}>
          Close
        </Button>
      </header>
      {meaning && (
        <RequestProgress requested={meaning} label="Embed rows">
          Finds similar rows and groups by the base model's token embeddings. It takes seconds.
        </RequestProgress>
      )}
      {completed && (
        <div class="meaning-parts">
          <Similar {...{ opened, chosen, choose, version }} />
          <div class="meaning-groups">
            <h3>Groups</h3>
            <p class="hint">{groupsWords(groups)}</p>
            <ol>
              {groups.groups.map((group, at) => (
                <One key={at} {...{ group, groups, at, trainer, choose, showGroup }} />
              ))}
            </ol>
          </div>
          {map && map.rows.length > 1 && (
            <RowsMap
              {...{ map, chosen, choose }}
              titles={groups.groups.map((group, at) => titleOf(group, at))}
            />
          )}
        </div>
      )}
    </section>
  );
}

function One({
  group,
  groups,
  at,
  trainer,
  choose,
  showGroup,
}: { group: RowGroup; groups: RowGroups; at: number } & Pick<Props, "trainer" | "choose" | "showGroup">) {
  const title = titleOf(group, at);
  const few = isSmall(group, groups);
  return (
    <li class={`meaning-group meaning-${at % 8}`}>
      <span class="meaning-title">
        <i class="meaning-dot" aria-hidden="true" />
        {title}
      </span>
      <span class="hint num">
        {countWords(group, groups)}
        {few ? " · few rows" : ""}
      </span>
      <span class="meaning-actions">
        <Button small kind="quiet" onClick={() => showGroup(at)} aria-label={`Show rows about ${title}`}>
          Show rows
        </Button>
        {group.examples[0] !== undefined && (
          <Button
            small
            kind="quiet"
            aria-label={`Typical row about ${title}`}
            onClick={() => choose(group.examples[0]!)}
          >
            Typical row
          </Button>
        )}
        {group.examples.length > 0 && (
          <a
            class="ui-button ui-button-small ui-button-quiet"
            aria-label={`More like these, about ${title}`}
            href={href("/data", { make: "rows", trainer, row: group.examples.join(",") })}
          >
            More like these
          </a>
        )}
      </span>
    </li>
  );
}

/** The list stays while its rows are viewed, so that the focus does, too. */
function Similar({
  opened,
  chosen,
  choose,
  version,
}: Pick<Props, "opened" | "chosen" | "choose" | "version">) {
  const [of, setOf] = useState(chosen);
  const [similarRows, setSimilarRows] = useState<readonly SimilarRow[]>([]);
  const [error, setError] = useState(false);
  const listed = chosen === of || similarRows.some(({ row }) => row === chosen);
  useEffect(() => {
    if (!listed) setOf(chosen);
  }, [listed, chosen]);
  useEffect(() => {
    const abort = new AbortController();
    opened.get<{ similar: SimilarRow[] }>(`/similar?row=${of}&count=10`, abort.signal).then(
      ({ similar }) => {
        setError(false);
        setSimilarRows(similar);
      },
      (failure: unknown) => {
        if (isAbort(failure)) return;
        setSimilarRows([]);
        setError(true);
      },
    );
    return () => abort.abort();
  }, [opened, of, version]);
  return (
    <div class="meaning-similar">
      <h3>Similar to row {number(of)}</h3>
      {error && <p class="hint">Row {number(of)} has no embedding.</p>}
      <ol>
        {similarRows.map(({ row, similarity, excerpt, heldOut }) => (
          <li key={row}>
            <Button
              small
              kind="quiet"
              aria-label={`Row ${number(row)}`}
              aria-current={row === chosen ? "true" : undefined}
              onClick={() => choose(row)}
            >
              Row {number(row)}
            </Button>
            <span class="hint num" title="Cosine of the embeddings">
              {similarity.toFixed(2)}
            </span>
            <bdi class="ellipsis" title={clean(excerpt, 120)}>
              {clean(excerpt, 120)}
            </bdi>
            {heldOut && <span class="hint">held out</span>}
          </li>
        ))}
      </ol>
      {chosen !== of && listed && (
        <p class="meaning-again">
          <Button small onClick={() => choose(of)}>
            Back to row {number(of)}
          </Button>{" "}
          <Button small onClick={() => setOf(chosen)}>
            Similar to row {number(chosen)}
          </Button>
        </p>
      )}
    </div>
  );
}
