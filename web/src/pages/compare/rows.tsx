/** How the rows of two jobs differ: added, removed and changed ones. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, errorText, isAbort } from "../../api/client";
import type { DataDifference, RowDifference } from "../../contract.gen";
import { number, plural } from "../../lib/format";
import { clean } from "../../lib/text";
import { features } from "../../store/features";
import type { Compared } from "./tables";

const CONFLICT = 409;
const WORDS = { added: "Added", removed: "Removed", changed: "Changed" } as const;

/** Each of the other jobs' rows, against those of the first. */
export function RowDifferences({ compared }: { compared: readonly Compared[] }) {
  const [first, ...rest] = compared;
  if (!features.value.has("rows") || !first || rest.length === 0) return null;
  return (
    <section aria-labelledby="compare-rows">
      <h2 id="compare-rows">Rows</h2>
      {rest.map((other) => (
        <One key={`${first.id} ${other.id}`} {...{ first, other }} />
      ))}
    </section>
  );
}

function One({ first, other }: { first: Compared; other: Compared }) {
  const [loaded, setFound] = useState<DataDifference | null>(null);
  const [note, setNote] = useState("");
  const begun = other.job?.status === "queued" || first.job?.status === "queued";
  useEffect(() => {
    const abort = new AbortController();
    const path = `/jobs/${encodeURIComponent(other.id)}/rows?against=${encodeURIComponent(first.id)}`;
    api<{ difference: DataDifference }>(path, { signal: abort.signal }).then(
      ({ difference }) => setFound(difference),
      (failure: unknown) => {
        if (isAbort(failure)) return;
        const unknown = failure instanceof ApiError && failure.status === CONFLICT;
        setNote(unknown ? clean(failure.message, 200) : errorText(failure));
      },
    );
    return () => abort.abort();
  }, [first.id, other.id, begun]);
  const [name, against] = [clean(other.name, 100), clean(first.name, 100)];
  if (!loaded) return note ? <p class="hint">{`${name}, ${against}: ${note}`}</p> : null;
  return (
    <>
      <Rows title={`Training rows of ${name} against ${against}`} difference={loaded.train} />
      <Rows title="Held-out rows" difference={loaded.heldOut} />
    </>
  );
}

function Rows({ title, difference }: { title: string; difference: RowDifference }) {
  const { rows, added, removed, changed } = difference;
  const more = added + removed + changed - rows.length;
  return (
    <>
      <p class="num">
        {title}: {differenceWords(difference)}
      </p>
      {rows.length > 0 && (
        <details class="compare-rows-shown">
          <summary>Show {rows.length === 1 ? "the row" : `${number(rows.length)} rows`}</summary>
          <ul class="compare-rows">
            {rows.map(({ kind, where, excerpt }, at) => (
              <li key={at}>
                <span class="compare-row-kind">{WORDS[kind] ?? clean(kind, 20)}</span>
                <bdi>{clean(excerpt, 100)}</bdi>
                <span class="hint">{clean(where, 200)}</span>
              </li>
            ))}
          </ul>
          {more > 0 && <p class="hint num">and {plural(more, "more row")}</p>}
        </details>
      )}
    </>
  );
}

/** `12 added · 3 removed · 183 the same` */
export function differenceWords({ same, added, removed, changed }: RowDifference): string {
  if (added + removed + changed === 0) return same === 0 ? "none" : `the same ${plural(same, "row")}`;
  const words = [
    [added, "added"],
    [removed, "removed"],
    [changed, "changed"],
    [same, "the same"],
  ] as const;
  return words
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${number(count)} ${word}`)
    .join(" · ");
}
