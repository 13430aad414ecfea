import { computed, type Signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { Job } from "../../contract.gen";
import { displayName } from "../../lib/text";
import { setQuery } from "../../router";
import { features } from "../../store/features";
import { isReported } from "../../store/job";
import { isOver } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { Icon } from "../../ui/controls/icon";
import { Menu, type MenuItem } from "../../ui/controls/menu";
import { usePageRows } from "../../ui/list/virtual-list";
import { lineHeight } from "../../ui/text-size";
import { narrow } from "./column-choice";
import type { Column } from "./columns";
import { parts } from "./list";
import { nextOrder, type Order, orderText } from "./order";

/** A row's height in lines of text; two below the breakpoint. Must match the stylesheet. */
const ROW = 2.2;
const NARROW_ROW = 3.2;
const rowHeight = computed(() => (narrow.value ? NARROW_ROW : ROW) * lineHeight.value);

interface Props {
  list: readonly Job[];
  columns: readonly Column[];
  order: Order;
  selected: Signal<ReadonlySet<string>>;
  acts: Acts;
}

type Act = (id: string, name: string) => Promise<void>;

interface Acts {
  cancel: Act;
  pause: Act;
  resume: Act;
}

/** A real table whose rows outside the window are two spacers, so that ten thousand rows cost as much as thirty. */
export function JobsTable({ list, columns, order, selected, acts }: Props) {
  const body = useRef<HTMLTableSectionElement>(null);
  const height = rowHeight.value;
  const { start, end } = usePageRows(body, list.length, height);
  // The focused row is drawn even far outside the window: removing it would lose the focus.
  const id = document.activeElement?.closest<HTMLElement>(".jobs-row")?.dataset.id;
  const held = id === undefined ? -1 : list.findIndex((job) => job.id === id);
  const active = useMemo(() => list.some((job) => !isOver(job)), [list]);
  const toggle = (id: string, on: boolean): void => {
    const next = new Set(selected.value);
    if (on) next.add(id);
    else next.delete(id);
    selected.value = next;
  };
  return (
    <table
      class={active ? "jobs-table" : "jobs-table jobs-without-actions"}
      role="table"
      aria-rowcount={list.length + 1}
      aria-label="Jobs"
    >
      <thead role="rowgroup">
        <tr role="row" aria-rowindex={1}>
          <th role="columnheader" class="jobs-pick">
            <span class="visually-hidden">Selected</span>
          </th>
          {columns.map((column) => (
            <Head key={column.name} column={column} order={order} />
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
                columns={columns}
                index={from + index}
                selected={selected.value.has(job.id)}
                toggle={toggle}
                acts={acts}
              />
            )),
        ])}
      </tbody>
    </table>
  );
}

function Spacer({ height }: { height: number }) {
  return (
    <tr class="jobs-spacer" role="presentation" aria-hidden="true">
      <td role="presentation" style={{ height: `${height}px` }} />
    </tr>
  );
}

function Head({ column, order }: { column: Column; order: Order }) {
  const on = order.column === column;
  const { width } = column;
  return (
    <th
      role="columnheader"
      class={classOf(column)}
      style={width === undefined ? undefined : { width: `${width}rem` }}
      aria-sort={on ? (order.descending ? "descending" : "ascending") : undefined}
    >
      <button
        type="button"
        class="jobs-sort"
        onClick={() => setQuery({ sort: orderText(nextOrder(order, column)) })}
      >
        {column.header}
        {on && <Icon name={order.descending ? "down" : "up"} size={12} />}
      </button>
    </th>
  );
}

const classOf = ({ name, align }: Column): string => `jobs-col-${name}${align ? " jobs-num" : ""}`;

interface RowProps {
  job: Job;
  columns: readonly Column[];
  index: number;
  selected: boolean;
  toggle: (id: string, on: boolean) => void;
  acts: Acts;
}

function Row({ job, columns, index, selected, toggle, acts }: RowProps) {
  const name = displayName(job.name);
  return (
    <tr
      class={selected ? "jobs-row jobs-row-on" : "jobs-row"}
      role="row"
      aria-rowindex={index + 2}
      data-id={job.id}
      data-focus-next=".jobs-name"
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
      {columns.map((column) => (
        <td key={column.name} role="cell" class={classOf(column)} title={column.hint?.(job)}>
          {column.cell(job)}
        </td>
      ))}
      <td role="cell" class="jobs-actions">
        {!isOver(job) && !isReported(job) && <Actions job={job} name={name} acts={acts} />}
      </td>
    </tr>
  );
}

/** One button, or a menu if there are several actions. */
function Actions({ job, name, acts }: { job: Job; name: string; acts: Acts }) {
  const { id, status } = job;
  const cancel = (): void => void acts.cancel(id, job.name);
  const more: MenuItem[] = [];
  if (status === "running" && features.value.has("pause"))
    more.push({ label: "Pause", run: () => void acts.pause(id, job.name) });
  if (status === "paused" && features.value.has("resume"))
    more.push({ label: "Resume", run: () => void acts.resume(id, job.name) });
  // As one narrow column on a phone.
  if (more.length > 0 || narrow.value)
    return (
      <Menu
        small
        icon="more"
        label={`Actions for ${name}`}
        items={[...more, { label: "Cancel job", danger: true, run: cancel }]}
      />
    );
  return (
    <Button small kind="danger" aria-label={`Cancel ${name}`} onClick={cancel}>
      Cancel
    </Button>
  );
}
