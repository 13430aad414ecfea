import { computed, type Signal, signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { Job } from "../../contract.gen";
import { now } from "../../lib/clock";
import { duration, loss } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { jobHref, setQuery } from "../../router";
import { isOver } from "../../store/jobs";
import { ordinal, queueWords } from "../../store/queue";
import { Button, CopyButton, DryMark, Icon, RelativeTime, StatusDot } from "../../ui";
import { usePageRows } from "../../ui/list/virtual-list";
import { lineHeight } from "../../ui/text-size";
import { type Column, durationOf, nextOrder, type Order, orderText, parts } from "./list";

/** A row's height in lines of text; below the breakpoint it has two. The stylesheet says the same. */
const ROW = 2.2;
const NARROW_ROW = 3.2;
const media = matchMedia("(width < 45em)");
const narrow = signal(media.matches);
media.addEventListener("change", () => {
  narrow.value = media.matches;
});
const rowHeight = computed(() => (narrow.value ? NARROW_ROW : ROW) * lineHeight.value);

export const HEADS: readonly { column: Column; label: string; short?: string; num?: boolean }[] = [
  { column: "status", label: "Status" },
  { column: "name", label: "Name" },
  { column: "created", label: "Created" },
  { column: "duration", label: "Duration", num: true },
  { column: "last", label: "Last eval loss", num: true },
  { column: "best", label: "Best eval loss", num: true },
];

interface Props {
  list: readonly Job[];
  order: Order;
  selected: Signal<ReadonlySet<string>>;
  cancel: (id: string, name: string) => Promise<void>;
}

/** A real table whose rows outside the window are two spacers, so that ten thousand cost what thirty do. */
export function JobsTable({ list, order, selected, cancel }: Props) {
  const body = useRef<HTMLTableSectionElement>(null);
  const height = rowHeight.value;
  const { start, end } = usePageRows(body, list.length, height);
  // The row that has the focus stays, however far away: without it the focus would fall to nothing.
  const id = document.activeElement?.closest<HTMLElement>(".jobs-row")?.dataset.id;
  const held = id === undefined ? -1 : list.findIndex((job) => job.id === id);
  const { eval: evaluated, active } = useMemo(() => shownOf(list), [list]);
  const toggle = (id: string, on: boolean): void => {
    const next = new Set(selected.value);
    if (on) next.add(id);
    else next.delete(id);
    selected.value = next;
  };
  return (
    <table
      class={["jobs-table", !evaluated && "jobs-without-eval", !active && "jobs-without-actions"]
        .filter(Boolean)
        .join(" ")}
      role="table"
      aria-rowcount={list.length + 1}
      aria-label="Jobs"
    >
      <thead role="rowgroup">
        <tr role="row" aria-rowindex={1}>
          <th role="columnheader" class="jobs-pick">
            <span class="visually-hidden">Selected</span>
          </th>
          {HEADS.map((head) => (
            <Head key={head.column} {...head} order={order} />
          ))}
          <th role="columnheader" class="jobs-actions">
            <span class="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup" ref={body}>
        {parts(start, end, held, list.length).flatMap(({ gap, from, to }) => [
          gap > 0 && (
            <Spacer
              key={to === from ? "after" : from === start ? "before" : "between"}
              height={gap * height}
            />
          ),
          ...list
            .slice(from, to)
            .map((job, index) => (
              <Row
                key={job.id}
                job={job}
                index={from + index}
                selected={selected.value.has(job.id)}
                toggle={toggle}
                cancel={cancel}
              />
            )),
        ])}
      </tbody>
    </table>
  );
}

/** Which of the columns have anything to show. */
function shownOf(list: readonly Job[]): { eval: boolean; active: boolean } {
  return {
    eval: list.some(
      ({ metrics }) => typeof metrics?.evalLoss === "number" || typeof metrics?.bestEvalLoss === "number",
    ),
    active: list.some((job) => !isOver(job)),
  };
}

function Spacer({ height }: { height: number }) {
  return (
    <tr class="jobs-spacer" role="presentation" aria-hidden="true">
      <td role="presentation" style={{ height: `${height}px` }} />
    </tr>
  );
}

function Head({ column, label, num, order }: { column: Column; label: string; num?: boolean; order: Order }) {
  const on = order.column === column;
  return (
    <th
      role="columnheader"
      class={`jobs-col-${column}${num ? " jobs-num" : ""}`}
      aria-sort={on ? (order.descending ? "descending" : "ascending") : undefined}
    >
      <button
        type="button"
        class="jobs-sort"
        onClick={() => setQuery({ sort: orderText(nextOrder(order, column)) })}
      >
        {label}
        {on && <Icon name={order.descending ? "down" : "up"} size={12} />}
      </button>
    </th>
  );
}

interface RowProps {
  job: Job;
  index: number;
  selected: boolean;
  toggle: (id: string, on: boolean) => void;
  cancel: (id: string, name: string) => Promise<void>;
}

function Row({ job, index, selected, toggle, cancel }: RowProps) {
  const name = displayName(job.name);
  const queued = job.status === "queued";
  const place = queued ? ordinal(job.queue?.position) : "";
  return (
    <tr
      class={selected ? "jobs-row jobs-row-on" : "jobs-row"}
      role="row"
      aria-rowindex={index + 2}
      data-id={job.id}
      data-heir=".jobs-name"
    >
      <td role="cell" class="jobs-pick">
        <label>
          <input
            class="ui-check"
            type="checkbox"
            checked={selected}
            onChange={(event) => toggle(job.id, event.currentTarget.checked)}
          />
          <span class="visually-hidden">Select {name}</span>
        </label>
      </td>
      <td role="cell" class="jobs-col-status" title={queued ? queueWords(job) : undefined}>
        <StatusDot status={job.status} label={queued ? `Queued${place && `, ${place}`}` : undefined} />
      </td>
      <td role="cell" class="jobs-col-name">
        <span class="jobs-title">
          <a class="jobs-name ellipsis" href={jobHref(job.id)} title={name}>
            <bdi>{name}</bdi>
          </a>
          <DryMark job={job} />
          <span class="jobs-id mono">{clean(job.id, 64)}</span>
          <CopyButton small class="jobs-copy" text={job.id} label={`Copy the id of ${name}`} />
        </span>
      </td>
      <td role="cell" class="jobs-col-created">
        <RelativeTime at={job.createdAt} />
      </td>
      <td role="cell" class="jobs-col-duration jobs-num">
        <Took job={job} />
      </td>
      <td role="cell" class="jobs-col-last jobs-num">
        {loss(job.metrics?.evalLoss)}
      </td>
      <td role="cell" class="jobs-col-best jobs-num">
        {loss(job.metrics?.bestEvalLoss)}
      </td>
      <td role="cell" class="jobs-actions">
        {!isOver(job) && (
          <Button
            small
            kind="danger"
            aria-label={`Cancel ${name}`}
            onClick={() => void cancel(job.id, job.name)}
          >
            Cancel
          </Button>
        )}
      </td>
    </tr>
  );
}

function Took({ job }: { job: Job }) {
  // Only a running job's cell listens to the clock.
  return <>{duration(durationOf(job, job.status === "running" ? now.value : 0))}</>;
}
