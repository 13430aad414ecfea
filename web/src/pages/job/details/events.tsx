/** The event log: the last fifty, or all on demand; one line each, with the whole event in a dialog. */
import { useState } from "preact/hooks";
import { TRAINING_FAILED } from "../../../contract.gen";
import type { Entry, Records } from "../../../events/records";
import type { Figure, Run } from "../../../events/run";
import { fileName, saveFile } from "../../../lib/download";
import { bytes, clock, number } from "../../../lib/format";
import { clean, cleanBlock } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { Dialog } from "../../../ui/dialog";
import { VirtualRows } from "../../../ui/list/virtual-list";
import { lineHeight } from "../../../ui/text-size";
import { eventText } from "./event-text";

const REST = 50;
/** A row's height in lines of text, as in the stylesheet. */
const ROW = 1.2;
const COPY_MOST = 5000;

export function Events({ run, name }: { run: Run; version: number; name: string }) {
  const { records, judged } = run;
  const [kind, setKind] = useState("");
  const [all, setAll] = useState(false);
  const [open, setOpen] = useState<number | null>(null);
  const indices = kind === "" ? null : records.only(new Set([kind]));
  const count = indices?.length ?? records.rows;
  const limit = all ? count : Math.min(REST, count);
  const indexAt = (row: number): number =>
    indices ? indices.at(count - limit + row) : records.indexInRow(count - limit + row);
  const text = (): string => {
    const last = Math.min(limit, COPY_MOST);
    return Array.from({ length: last }, (_, row) =>
      line(records.entry(indexAt(limit - last + row)), judged),
    ).join("\n");
  };
  return (
    <div class="job-events">
      <div class="job-events-head">
        <label class="job-events-kind">
          <span class="visually-hidden">Kind of event</span>
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            <option value="">all kinds</option>
            {records.names.map((known) => (
              <option key={known} value={known}>
                {clean(known, 60)} ({number(records.count(known))})
              </option>
            ))}
          </select>
        </label>
        <span class="job-events-tools">
          {count > REST && (
            <Button kind="quiet" small aria-pressed={all} onClick={() => setAll(!all)}>
              {all ? `Last ${REST}` : `All ${number(count)}`}
            </Button>
          )}
          <CopyButton
            text={text}
            label={
              limit > COPY_MOST
                ? `Copy the last ${number(COPY_MOST)} of the shown events`
                : "Copy the shown events"
            }
            small
          />
          <Button
            kind="quiet"
            small
            icon="download"
            aria-label="Download all events"
            title="Download all events"
            onClick={() => save(records, name)}
          />
        </span>
      </div>
      {count === 0 ? (
        <p class="hint job-events-none">No events yet.</p>
      ) : (
        <div class={all ? "job-log-box job-log-all" : "job-log-box"} onKeyDown={walk}>
          <VirtualRows
            key={`${kind} ${all}`}
            class="job-log"
            label="Event log, arrow keys go from event to event"
            role="log"
            follow
            count={limit}
            rowHeight={ROW * lineHeight.value}
            render={(row) => (
              <Row key={indexAt(row)} entry={records.entry(indexAt(row))} judged={judged} open={setOpen} />
            )}
          />
        </div>
      )}
      {open !== null && open < records.length && (
        <EventDialog records={records} index={open} close={() => setOpen(null)} />
      )}
    </div>
  );
}

interface RowProps {
  entry: Entry;
  judged: Figure | undefined;
  open: (index: number) => void;
}

function Row({ entry, judged, open }: RowProps) {
  return (
    <button type="button" class="job-log-row" tabIndex={-1} onClick={() => open(entry.index)}>
      <span class="job-log-time">{when(entry.time)}</span>
      <span class={`job-log-name${entry.name === TRAINING_FAILED ? " job-log-bad" : ""}`}>
        {clean(entry.name, 60)}
      </span>
      <span class="job-log-text">{eventText(entry, judged)}</span>
    </button>
  );
}

/** Fifty rows would be fifty tab stops: the log is one, and arrows move within it. */
function walk(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by === undefined) return;
  const rows = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(".job-log-row")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? rows.at(-1) : rows[at + by];
  if (next === undefined) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function EventDialog({ records, index, close }: { records: Records; index: number; close: () => void }) {
  const entry = records.entry(index);
  return (
    <Dialog title={clean(entry.name, 60)} onClose={close} wide>
      <p class="hint num">
        Event {number(index + 1)} · {when(entry.time)} · {bytes(entry.size)}
        {entry.size > entry.data.length && `, of which ${bytes(entry.data.length)} are kept`}
      </p>
      <pre class="job-raw" tabIndex={0}>
        {cleanBlock(pretty(entry.data), 70_000)}
      </pre>
      <CopyButton text={entry.data} label="Copy the raw event" small>
        Copy
      </CopyButton>
    </Dialog>
  );
}

function when(time: number): string {
  return Number.isFinite(time) ? clock(time) : "–";
}

function pretty(data: string): string {
  try {
    return JSON.stringify(JSON.parse(data), null, 2);
  } catch {
    return data;
  }
}

function line(entry: Entry, judged: Figure | undefined): string {
  return `${when(entry.time)}  ${clean(entry.name, 60)}  ${eventText(entry, judged)}`;
}

/** One JSON object per line, the data unchanged. */
function save(records: Records, name: string): void {
  const parts: string[] = [];
  for (let index = 0; index < records.length; index++) {
    const { name: event, data } = records.entry(index);
    if (event) parts.push(`${JSON.stringify({ event, data })}\n`);
  }
  saveFile(fileName(`${name} events`, "jsonl"), new Blob(parts, { type: "application/x-ndjson" }));
}
