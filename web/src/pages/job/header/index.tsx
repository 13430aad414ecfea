/** The job's name, status and actions: one primary action, one secondary, the rest in a menu. */
import { useLayoutEffect } from "preact/hooks";
import { ActionButton } from "../../../actions/action-button";
import { type Action, canRun, useActions } from "../../../actions/actions";
import { useAttempt } from "../../../api/client";
import type { Job, JobParent } from "../../../contract.gen";
import type { Run } from "../../../events/run";
import { answererOf, bestStep } from "../../../lib/best-step";
import { now } from "../../../lib/clock";
import { duration, number } from "../../../lib/format";
import { displayName } from "../../../lib/text";
import { go, href, jobHref } from "../../../router";
import { features } from "../../../store/features";
import { isReported } from "../../../store/job";
import { cancelJob } from "../../../store/jobs";
import { CopyButton } from "../../../ui/controls/copy";
import { Menu } from "../../../ui/controls/menu";
import { confirm } from "../../../ui/dialog";
import { DryMark } from "../../../ui/dry";
import { ErrorNote } from "../../../ui/empty";
import { StatusDot } from "../../../ui/status";
import { RelativeTime } from "../../../ui/time";
import { askToDelete } from "../../jobs/ask-delete";
import { StarButton, toggleStar } from "../../jobs/star";
import { notifies, toggleNotify } from "../progress/watch-button";
import { isActive, type JobNow, ranFor } from "../state";
import { useLifecycle } from "./lifecycle-actions";
import { canEdit, editing, hasDraft, NameEdit, type Part, Tags } from "./notes";
import type { useRunAgain } from "./run-again";

interface Props extends JobNow {
  again: ReturnType<typeof useRunAgain>;
}

interface JobAction extends Action {
  /** The target of a link. */
  href?: string | null;
  /** The button's text, if the label is longer. */
  short?: string;
  busy?: boolean;
  danger?: boolean;
  /** Not in the menu: another control on the page does it. */
  elsewhere?: boolean;
}

export function Header({ id, job, run, status, again }: Props) {
  const name = displayName(job?.name ?? id);
  const cancelling = useCancel(id, name);
  const lifecycle = useLifecycle(id, job, status);
  const active = isActive(status);
  const actions = actionsOf({ id, job, run, status, again, cancelling, lifecycle });
  useActions(
    "Job",
    actions.map((action) => linked(action)),
  );
  // Not a passive effect, which would end an edit that a key has already begun.
  useLayoutEffect(() => {
    editing.value = hasDraft(id) ? "notes" : null;
    return () => {
      editing.value = null;
    };
  }, [id]);
  const possible = actions.filter(canRun);
  const featured = featuredFor(status)
    .flatMap((key) => possible.filter((action) => action.name === key))
    .slice(0, 2);
  const [primary] = featured;
  // The primary one is last, but cancelling stays in its place: what was Pause must not become Cancel under the pointer.
  const shown = featured
    .toReversed()
    .toSorted((a, b) => Number(a.danger ?? false) - Number(b.danger ?? false));
  const rest = possible.filter((action) => !featured.includes(action) && !action.elsewhere);
  return (
    <header class="job-head">
      <p class="job-crumb">
        <a href="#/jobs">Jobs</a>
      </p>
      <div class="job-title">
        <div class={editing.value === "name" ? "visually-hidden" : "job-named"}>
          <h1 tabIndex={-1} class="job-name" title={name.length > 80 ? name : undefined}>
            <bdi>{name}</bdi>
            <DryMark job={job} />
          </h1>
          {job && canEdit() && <StarButton job={job} />}
        </div>
        {job && editing.value === "name" && <NameEdit id={id} name={job.name} />}
        <div class="job-actions">
          {shown.map((action) => (
            <Featured
              key={action.name}
              action={action}
              kind={action === primary && (!active || status === "paused") ? "primary" : "plain"}
            />
          ))}
          {rest.length > 0 && (
            <Menu
              label="More actions"
              icon="more"
              items={rest.map(({ label, keys, run: act, href: to, danger }) => ({
                label,
                ...(to ? { href: to } : { run: act }),
                ...(keys ? { hint: keys.toUpperCase() } : {}),
                ...(danger ? { danger } : {}),
              }))}
            />
          )}
        </div>
      </div>
      <p class="job-line">
        <StatusDot status={status} />
        {status !== "paused" && <Ran job={job} run={run} active={active} />}
        {job?.parent && <From parent={job.parent} />}
        {job && (
          <span class="dim">
            created <RelativeTime at={job.createdAt} />
          </span>
        )}
        <span class="job-id">
          <span class="mono hint ellipsis">{id.slice(0, 64)}</span>
          <CopyButton text={id} label="Copy the job's id" small />
        </span>
      </p>
      {job && <Tags job={job} />}
      {again.error && <ErrorNote title="Couldn't fill in the form" error={again.error} />}
      {lifecycle.fault && <ErrorNote {...lifecycle.fault} />}
      {cancelling.error && <ErrorNote title="The job was not cancelled" error={cancelling.error} />}
    </header>
  );
}

/** A link's action follows the link. */
function linked(action: JobAction): Action {
  return action.href ? { ...action, run: () => go(action.href!) } : action;
}

function Featured({ action, kind }: { action: JobAction; kind: "primary" | "plain" }) {
  const { href: to, label, short = label, busy = false } = action;
  return to ? (
    <a class={`ui-button ui-button-${kind}`} href={to}>
      {short}
    </a>
  ) : (
    <ActionButton action={action} kind={kind} busy={busy}>
      {short}
    </ActionButton>
  );
}

/** The most likely actions by status; the first two available ones have buttons. */
function featuredFor(status: string): readonly string[] {
  switch (status) {
    case "completed":
      return ["job.playground", "job.again"];
    case "failed":
    case "cancelled":
      return ["job.resume", "job.again", "job.playground"];
    case "running":
      return ["job.cancel", "job.pause"];
    default:
      return ["job.resume", "job.cancel"];
  }
}

interface Sources extends Omit<Props, "version"> {
  cancelling: ReturnType<typeof useCancel>;
  lifecycle: ReturnType<typeof useLifecycle>;
}

/** All actions of a job, in menu order. */
function actionsOf({ id, job, run, status, again, cancelling, lifecycle }: Sources): JobAction[] {
  const active = isActive(status);
  const playground = playgroundHref(id, job, run, status);
  const base = status === "completed" && job?.config?.model;
  const { pause, resume, extend, busy } = lifecycle;
  const edit = (part: Part, label: string, keys: string): JobAction => ({
    name: `job.${part}`,
    label,
    keys,
    when: () => job !== undefined && canEdit(),
    run: () => {
      editing.value = part;
    },
  });
  const list: JobAction[] = [
    {
      name: "job.playground",
      label: "Open in Playground",
      keys: "p",
      when: () => playground !== null,
      href: playground,
      run: () => undefined,
    },
    { ...pause, short: "Pause", busy },
    { ...resume, short: "Resume", busy },
    {
      name: "job.again",
      label: "Run again with changes",
      short: "Run again",
      keys: "r",
      when: () => job !== undefined,
      run: () => again.change(),
    },
    { name: "job.repeat", label: "Run again, the same", when: () => job !== undefined, run: again.repeat },
    extend,
    {
      name: "job.compare",
      label: "Compare with other jobs",
      href: href("/compare", { jobs: id }),
      run: () => undefined,
    },
    {
      name: "job.blind",
      label: "Blind test against the base",
      when: () => Boolean(base),
      href: base ? href("/blind", { target: `base:${base}`, against: answererOf(job!) }) : null,
      run: () => undefined,
    },
    {
      name: "job.notify",
      label: notifies(id) ? "Don't notify me when done" : "Notify me when done",
      when: () => active,
      run: () => void toggleNotify(id),
    },
    edit("name", "Rename", "e"),
    edit("tags", "Edit tags", "t"),
    edit("notes", "Edit notes", "n"),
    {
      name: "job.star",
      label: job?.starred ? "Remove the star" : "Star this job",
      when: () => job !== undefined && canEdit(),
      elsewhere: true,
      run: () => void toggleStar(job!),
    },
    {
      name: "job.cancel",
      label: "Cancel job",
      keys: "x",
      when: () => active,
      danger: true,
      busy: cancelling.busy,
      run: cancelling.ask,
    },
    {
      name: "job.delete",
      label: "Delete job",
      when: () => job !== undefined && !active && features.value.has("delete"),
      danger: true,
      run: () =>
        void askToDelete([job!]).then((yes) => {
          if (yes) go("#/jobs");
        }),
    },
  ];
  return list.filter(({ name }) => !isReported(job) || OF_REPORTED.has(name));
}

/** What can be done with a job that another program runs. */
const OF_REPORTED: ReadonlySet<string> = new Set(
  ["compare", "notify", "name", "tags", "notes", "star", "delete"].map((name) => `job.${name}`),
);

/** The checkpoint from which the job started. */
function From({ parent: { jobId, step, name } }: { parent: JobParent }) {
  return (
    <span class="dim">
      from{" "}
      <a href={jobHref(jobId)}>
        <bdi>{displayName(name ?? jobId)}</bdi>
      </a>
      , step <span class="num">{number(step)}</span>
    </span>
  );
}

function Ran({ job, run, active }: { job: Job | undefined; run: Run; active: boolean }) {
  const ms = ranFor(job, run, active ? now.value : 0);
  return ms === null ? null : (
    <span class="num dim">{active ? `for ${duration(ms)}` : `in ${duration(ms)}`}</span>
  );
}

/** The final adapter or a better one, else the last checkpoint: even a running job can be chatted with. */
function playgroundHref(id: string, job: Job | undefined, run: Run, status: string): string | null {
  const best = bestStep(job);
  if (status === "completed")
    return href("/playground", { target: best === null ? `final:${id}` : `checkpoint:${id}:${best}` });
  const last = run.checkpoints.at(-1);
  return last ? href("/playground", { target: `checkpoint:${id}:${last.step}` }) : null;
}

function useCancel(id: string, name: string): { ask: () => void; busy: boolean; error: string | null } {
  const { busy, error, attempt } = useAttempt();
  const ask = async (): Promise<void> => {
    const gone = features.peek().has("resume") ? "" : "; it cannot be resumed";
    const text = `“${name}” stops at the current step. Saved checkpoints are kept${gone}.`;
    if (!(await confirm({ title: "Cancel this job?", text, action: "Cancel job", danger: true }))) return;
    await attempt(() => cancelJob(id));
  };
  return { ask: () => void ask(), busy, error };
}
