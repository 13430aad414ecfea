import { useMemo, useRef, useState } from "preact/hooks";
import { errorText } from "../../api/client";
import { fileName, saveFile } from "../../lib/download";
import { number, plural } from "../../lib/format";
import type { RunOutput } from "../../store/output";
import { classOf } from "../../terminal/style";
import type { Terminal } from "../../terminal/terminal";
import { Button } from "../../ui/controls/button";
import { say } from "../../ui/controls/live";
import { ErrorNote } from "../../ui/empty";
import { type VirtualHandle, VirtualRows } from "../../ui/list/virtual-list";
import { lineHeight } from "../../ui/text-size";

const MAX_ROWS_SHOWN = 22;

/** The output: follows its end until the user scrolls up; can be searched and saved. */
export function Output({ output, name }: { output: RunOutput; name: string }) {
  const version = output.version.value;
  const handle = useRef<VirtualHandle>(null);
  const [leftAt, setLeftAt] = useState<number | null>(null);
  const [query, setQuery] = useState("");
  const [saving, setSaving] = useState(false);
  /** The line number of the match, from the start of the output. */
  const [at, setAt] = useState(0);
  const { terminal } = output;
  const { count } = terminal;
  const total = terminal.dropped + count;
  const hits = useMemo(() => find(terminal, count, query), [terminal, version, count, query]);
  const current = Math.max(
    0,
    hits.findIndex((index) => index + terminal.dropped >= at),
  );
  const hit = hits[current];
  const error = output.error.value;
  if (error) return <ErrorNote title="Couldn't read the log" error={error} />;

  const move = (step: number): void => {
    if (hits.length === 0) return;
    const next = hits[(current + step + hits.length) % hits.length] ?? 0;
    setAt(terminal.dropped + next);
    handle.current?.scrollTo(next);
  };
  const search = (typed: string): void => {
    setQuery(typed);
    setAt(0);
    const first = find(terminal, count, typed)[0];
    if (first !== undefined) handle.current?.scrollTo(first);
  };
  const save = async (): Promise<void> => {
    setSaving(true);
    try {
      saveFile(fileName(name, "log"), await output.whole());
    } catch (problem) {
      const lines = Array.from({ length: count }, (_, index) => `${terminal.text(index)}\n`);
      saveFile(fileName(name, "log"), lines.join(""));
      say(`Saved only the lines on this page: ${errorText(problem)}`);
    }
    setSaving(false);
  };
  const missed = leftAt === null ? 0 : total - leftAt;
  return (
    <div class="term">
      <div class="term-tools">
        <input
          class="ui-input term-search"
          type="search"
          aria-label="Search log"
          placeholder="Search log"
          value={query}
          onInput={(event) => search(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") move(event.shiftKey ? -1 : 1);
          }}
        />
        {query && (
          <span class="hint num" role="status">
            {hits.length === 0 ? "Not found" : `${number(current + 1)} of ${number(hits.length)}`}
          </span>
        )}
        {hits.length > 1 && (
          <>
            <Button small kind="quiet" icon="up" aria-label="Previous match" onClick={() => move(-1)} />
            <Button small kind="quiet" icon="down" aria-label="Next match" onClick={() => move(1)} />
          </>
        )}
        <span class="term-end">
          <span class="term-count hint num">{plural(total, "line")}</span>
          <Button small kind="quiet" icon="download" busy={saving} onClick={() => void save()}>
            Download
          </Button>
        </span>
      </div>
      <div
        class="term-screen"
        data-focus-next=".term-lines"
        style={{ height: `calc(${Math.min(MAX_ROWS_SHOWN, Math.max(6, count))}rlh + 26px)` }}
      >
        {count === 0 ? (
          <p class="term-none hint">No output yet.</p>
        ) : (
          <VirtualRows
            class="term-lines"
            role="log"
            label="Output of the training command"
            count={count}
            dropped={terminal.dropped}
            rowHeight={lineHeight.value}
            follow
            handle={handle}
            onFollow={(end) => setLeftAt(end ? null : total)}
            render={(index) => (
              <div key={index} class={index === hit ? "term-line term-hit" : "term-line"}>
                {terminal.line(index).map((span, part) => (
                  <span key={part} class={classOf(span.style) || undefined}>
                    {span.text}
                  </span>
                ))}
              </div>
            )}
          />
        )}
        {leftAt !== null && (
          <Button small class="term-tail" icon="down" onClick={() => handle.current?.toEnd()}>
            {missed > 0 ? `${plural(missed, "new line")}` : "To the end"}
          </Button>
        )}
      </div>
      {terminal.dropped > 0 && (
        <p class="hint">The first {plural(terminal.dropped, "line")} are no longer kept here.</p>
      )}
    </div>
  );
}

function find(terminal: Terminal, count: number, query: string): number[] {
  const wanted = query.trim().toLowerCase();
  const matches: number[] = [];
  if (!wanted) return matches;
  for (let index = 0; index < count; index += 1) {
    if (terminal.text(index).toLowerCase().includes(wanted)) matches.push(index);
  }
  return matches;
}
