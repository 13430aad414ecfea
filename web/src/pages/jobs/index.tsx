import { signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { ActionButton } from "../../actions/action-button";
import { type Action, canRun, useActions } from "../../actions/actions";
import { errorText } from "../../api/client";
import { now } from "../../lib/clock";
import { useDrop } from "../../lib/drop";
import { number, plural } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { go, href, route, setQuery } from "../../router";
import { setTitle } from "../../store/document-title";
import { features } from "../../store/features";
import { actOnJob, cancelJob, isOver, jobs, jobsState, queueHeld, refreshJobs } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { announce } from "../../ui/controls/live";
import { Menu } from "../../ui/controls/menu";
import { Chips, Select } from "../../ui/controls/switch";
import { confirm } from "../../ui/dialog";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { statusWord } from "../../ui/status";
import { askToDelete } from "./ask-delete";
import { columnItems, columnsFor, narrow } from "./column-choice";
import { holdQueue } from "./hold-queue";
import { canJudge, openJudge } from "./judge/open";
import { bySweep, countByStatus, countTags, marked, search } from "./list";
import { openDisk } from "./open-disk";
import { parseOrder, sorted } from "./order";
import { OrderChoice } from "./order-choice";
import { openQueue, QueueLine } from "./queue";
import { JobsTable } from "./table";
import "./jobs.css";

/** Maximum number of selected jobs: as many as the comparison can draw. */
const COMPARE_AT_MOST = 12;
/** A running job's duration changes each second, but sorting by it need not. */
const REORDER_MS = 5000;

/** Outlives the page: the selection is kept for the way back from a comparison. */
const selected = signal<ReadonlySet<string>>(new Set());

export default function Jobs() {
  const { query } = route.value;
  const typed = query.get("q") ?? "";
  const status = query.get("status") ?? "";
  const order = parseOrder(query.get("sort"));
  const { loaded, error } = jobsState.value;
  const all = jobs.value;
  const tick = useComputed(() => Math.floor(now.value / REORDER_MS)).value;
  const tag = query.get("tag") ?? "";
  const starred = query.has("starred");
  const tags = useMemo(() => countTags(all), [all]);
  const anyStar = useMemo(() => all.some((job) => job.starred), [all]);
  const sweep = query.get("sweep") ?? "";
  // A text search may look for a single trial, so it does not group them by sweep.
  const matches = useMemo(() => {
    const matching = marked(search(all, typed), tag, starred);
    return typed && !sweep ? matching : bySweep(matching, sweep);
  }, [all, typed, tag, starred, sweep]);
  const counts = useMemo(() => countByStatus(matches), [matches]);
  const list = useMemo(
    () => sorted(status ? matches.filter((job) => job.status === status) : matches, order, Date.now()),
    [matches, status, order.column, order.descending, order.column.sort.live ? tick : 0],
  );
  const columns = columnsFor(all, order.column);
  const problem = useSignal<{ id: string; title: string; text: string } | null>(null);
  const chosen = useMemo(() => all.filter(({ id }) => selected.value.has(id)), [all, selected.value]);
  const field = useRef<HTMLInputElement>(null);
  const compare: Action = {
    name: "jobs.compare",
    label: "Compare selected jobs",
    keys: "c",
    when: () => selected.value.size > 1 && selected.value.size <= COMPARE_AT_MOST,
    run: () => go(href("/compare", { jobs: [...selected.value].join(",") })),
  };
  const remove: Action = {
    name: "jobs.delete",
    label: "Delete selected jobs",
    when: () => features.value.has("delete") && chosen.length > 0 && chosen.every(isOver),
    run: () =>
      void askToDelete(chosen).then((yes) => {
        if (yes) selected.value = new Set();
      }),
  };
  useActions("Jobs", [
    { name: "jobs.search", label: "Search jobs", keys: "/", run: () => field.current?.focus() },
    { name: "jobs.next", label: "Next job", keys: "j", hidden: true, run: () => move(1) },
    { name: "jobs.previous", label: "Previous job", keys: "k", hidden: true, run: () => move(-1) },
    { name: "jobs.select", label: "Select the job", keys: "x", hidden: true, run: selectFocused },
    compare,
    remove,
    {
      name: "jobs.disk",
      label: "Show disk usage",
      when: () => features.value.has("delete"),
      run: () => void openDisk(),
    },
    { name: "jobs.judge", label: "Judge an adapter", when: canJudge, run: () => void openJudge() },
    {
      name: "jobs.queue",
      label: "Change the queue's order",
      when: () => features.value.has("queue") && all.filter(({ status }) => status === "queued").length > 1,
      run: () => void openQueue(),
    },
    {
      name: "jobs.hold",
      label: queueHeld.value ? "Resume queue" : "Hold queue",
      when: () => features.value.has("queue"),
      run: () => void holdQueue(!queueHeld.value),
    },
  ]);
  useEffect(() => setTitle("Jobs"), []);
  useDrop(
    () => undefined,
    (dropped) => {
      if (canJudge()) void openJudge(dropped);
    },
  );
  const cancel = async (id: string, name: string): Promise<void> => {
    const text = "Training stops at the current step. Saved checkpoints are kept.";
    if (!(await confirm({ title: `Cancel ${displayName(name)}`, text, action: "Cancel job", danger: true })))
      return;
    await attempt(id, name, "cancelled", async () => {
      await cancelJob(id);
      announce("The job is being cancelled");
    });
  };
  const attempt = async (id: string, name: string, done: string, act: () => Promise<void>): Promise<void> => {
    try {
      problem.value = null;
      await act();
    } catch (failure) {
      const title = `The job could not be ${done}`;
      problem.value = { id, title, text: `${displayName(name)}: ${errorText(failure)}` };
    }
  };
  const pause = (id: string, name: string): Promise<void> =>
    attempt(id, name, "paused", async () => {
      announce("Pausing after the current step");
      await actOnJob(id, "pause");
      announce("The job is paused");
    });
  const resume = (id: string, name: string): Promise<void> =>
    attempt(id, name, "resumed", async () => {
      await actOnJob(id, "resume", {});
      announce("Job resumed");
    });

  const manages = features.value.has("delete") || features.value.has("sweeps");
  const counted = (value: string, label: string, count: number) =>
    loaded ? { value, label, count } : { value, label };
  const chips = [
    counted("", "All", matches.length),
    ...[...counts].map(([value, count]) => counted(value, statusWord(value), count)),
  ];
  return (
    <div class="jobs" data-focus-next=".jobs-search">
      <header class="jobs-head">
        <h1 tabIndex={-1}>Jobs</h1>
        <input
          ref={field}
          class="ui-input jobs-search"
          type="search"
          aria-label="Search jobs by name, id or tag"
          placeholder="Search name, id or tag"
          value={typed}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            if (typed) setQuery({ q: null });
            else move(1);
          }}
        />
      </header>
      <div class="jobs-filter">
        <Chips
          label="Status"
          items={chips}
          value={status}
          onChange={(value) => setQuery({ status: value })}
        />
        {sweep && (
          <Button small kind="quiet" icon="close" onClick={() => setQuery({ sweep: null })}>
            Only one sweep
          </Button>
        )}
        <Marks tags={tags} tag={tag} anyStar={anyStar} starred={starred} />
        <OrderChoice order={order} />
        <Selection
          count={selected.value.size}
          compare={compare}
          {...(features.value.has("delete") ? { remove } : {})}
          clear={() => {
            selected.value = new Set();
          }}
        />
        {selected.value.size === 0 && (manages || (all.length > 0 && !narrow.value)) && (
          <div class="jobs-view">
            {features.value.has("sweeps") && (
              <a class="ui-button ui-button-quiet ui-button-small" href="#/sweeps">
                Search for better settings
              </a>
            )}
            {all.length > 0 && !narrow.value && <Menu small label="Columns" items={columnItems(columns)} />}
            {canJudge() && (
              <Button small kind="quiet" onClick={() => void openJudge()}>
                Judge an adapter
              </Button>
            )}
            {features.value.has("delete") && (
              <Button small kind="quiet" onClick={() => void openDisk()}>
                Disk use
              </Button>
            )}
          </div>
        )}
      </div>
      <QueueLine jobs={all} />
      {problem.value && (
        <Problem
          {...problem.value}
          close={() => {
            problem.value = null;
          }}
        />
      )}
      {all.length === 0 ? (
        <Nothing loaded={loaded} error={error} />
      ) : list.length === 0 ? (
        <Empty
          title={
            typed
              ? `No job matches “${clean(typed, 80)}”${status ? ` among the ${statusWord(status).toLowerCase()} ones` : ""}.`
              : status
                ? `No such job is ${statusWord(status).toLowerCase()}.`
                : "No job has this mark."
          }
          action={
            <Button
              onClick={() => setQuery({ q: null, status: null, tag: null, starred: null, sweep: null })}
            >
              Show all jobs
            </Button>
          }
        />
      ) : (
        <JobsTable {...{ list, columns, order, selected }} acts={{ cancel, pause, resume }} />
      )}
      <p class="visually-hidden" role="status">
        {loaded ? plural(list.length, "job") : ""}
      </p>
    </div>
  );
}

/** Why an action failed, visible at any scroll position; dismissing it returns the focus to its row. */
function Problem({ id, title, text, close }: { id: string; title: string; text: string; close: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => box.current?.querySelector("button")?.focus({ preventScroll: true }), [text]);
  const putAway = (): void => {
    document
      .querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"] .jobs-name`)
      ?.focus({ preventScroll: true });
    close();
  };
  return (
    <div class="jobs-problem" ref={box}>
      <ErrorNote title={title} error={text}>
        <Button small onClick={putAway}>
          Dismiss
        </Button>
      </ErrorNote>
    </div>
  );
}

interface MarksProps {
  tags: readonly (readonly [string, number])[];
  tag: string;
  anyStar: boolean;
  starred: boolean;
}

/** Filters by tags and stars; each appears once there is something to filter by. */
function Marks({ tags, tag, anyStar, starred }: MarksProps) {
  if (!anyStar && !starred && tags.length === 0 && !tag) return null;
  return (
    <div class="jobs-marks">
      {(anyStar || starred) && (
        <Button
          small
          kind="quiet"
          icon="star"
          class="jobs-star"
          aria-pressed={starred}
          onClick={() => setQuery({ starred: !starred })}
        >
          Starred
        </Button>
      )}
      {(tags.length > 0 || tag) && (
        <Select
          class="jobs-tag"
          aria-label="Tag"
          value={tag}
          options={[
            ["", "All tags"],
            tag !== "" && !tags.some(([name]) => name === tag) && [tag, clean(tag, 50)],
            ...tags.map(([name, count]) => [name, `${clean(name, 50)} (${number(count)})`] as const),
          ]}
          onChange={(chosen) => setQuery({ tag: chosen })}
        />
      )}
    </div>
  );
}

interface SelectionProps {
  count: number;
  compare: Action;
  remove?: Action;
  clear: () => void;
}

function Selection({ count, compare, remove, clear }: SelectionProps) {
  if (count === 0) return null;
  return (
    <div class="jobs-selection">
      <span class="dim num">{number(count)} selected</span>
      <ActionButton
        action={compare}
        small
        {...(count < 2 || count > COMPARE_AT_MOST ? { title: whyNot(count) } : {})}
      >
        Compare
      </ActionButton>
      {remove && (
        <ActionButton
          action={remove}
          small
          kind="danger"
          {...(canRun(remove) ? {} : { title: "Cancel first what runs or waits" })}
        >
          Delete
        </ActionButton>
      )}
      <Button small kind="quiet" onClick={clear}>
        Clear
      </Button>
    </div>
  );
}

const whyNot = (count: number): string =>
  count < 2 ? "Select another job to compare" : `At most ${COMPARE_AT_MOST} jobs can be compared`;

function Nothing({ loaded, error }: { loaded: boolean; error: string | null }) {
  if (error)
    return <ErrorNote title="The jobs could not be read" error={error} retry={() => void refreshJobs()} />;
  if (!loaded) return <Skeleton lines={10} height={20} />;
  return (
    <Empty
      title="No job has run yet."
      action={
        <a class="ui-button ui-button-primary" href="#/">
          Go to Run training
        </a>
      }
    >
      Each training becomes a row here, with its status, its loss and how long it took.
    </Empty>
  );
}

/** From the focused row to the next, or to the first visible one. */
function move(step: number): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>(".jobs-name")];
  const head = Math.max(
    0,
    ...[...document.querySelectorAll(".shell-bar, .jobs-table th, .jobs-problem")].map(
      (one) => one.getBoundingClientRect().bottom,
    ),
  );
  const seen = links.filter((link) => {
    const { top, bottom } = link.closest("tr")!.getBoundingClientRect();
    return top > head - 1 && bottom < innerHeight + 1;
  });
  const now = document.activeElement as HTMLAnchorElement;
  const next = seen.includes(now) ? links[links.indexOf(now) + step] : seen.at(step > 0 ? 0 : -1);
  next?.focus({ preventScroll: true });
  next?.closest("tr")?.scrollIntoView({ block: "nearest" });
}

function selectFocused(): void {
  document.activeElement?.closest("tr")?.querySelector<HTMLInputElement>('input[type="checkbox"]')?.click();
}
