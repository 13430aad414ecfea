/** What job this is, how it stands, and what can be done with it. */
import { useEffect, useState } from "preact/hooks";
import { ActionButton } from "../../actions/action-button";
import { type Action, canRun, useActions } from "../../actions/actions";
import { errorText } from "../../api/client";
import type { Job, JobParent } from "../../contract.gen";
import type { Run } from "../../events/run";
import { bestStep } from "../../lib/best-step";
import { now } from "../../lib/clock";
import { duration, number } from "../../lib/format";
import { displayName } from "../../lib/text";
import { go, href, jobHref } from "../../router";
import { features } from "../../store/features";
import { cancelJob } from "../../store/jobs";
import { CopyButton } from "../../ui/controls/copy";
import { Menu } from "../../ui/controls/menu";
import { confirm } from "../../ui/dialog";
import { DryMark } from "../../ui/dry";
import { ErrorNote } from "../../ui/empty";
import { StatusDot } from "../../ui/status";
import { RelativeTime } from "../../ui/time";
import { askToDelete } from "../jobs/ask-delete";
import { StarButton } from "../jobs/star";
import { useGoingOn } from "./going-on";
import type { useRunAgain } from "./run-again";
import { canEdit, editing, hasDraft, NameEdit, type Part, Tags } from "./said";
import { isActive, ranFor } from "./state";
import { WatchButton } from "./watch-button";

interface Props {
  again: ReturnType<typeof useRunAgain>;
  id: string;
  job: Job | undefined;
  run: Run;
  version: number;
  status: string;
}

export function Head({ id, job, run, status, again }: Props) {
  const name = displayName(job?.name ?? id);
  const cancelling = useCancel(id, name);
  const goingOn = useGoingOn(id, job, status);
  const active = isActive(status);
  const playground = playgroundHref(id, job, run, status);
  const open = {
    name: "job.playground",
    label: "Open this job in Playground",
    keys: "p",
    section: "Job",
    when: () => playground !== null,
    run: () => go(playground!),
  };
  const cancel = {
    name: "job.cancel",
    label: "Cancel this job",
    keys: "x",
    section: "Job",
    when: () => active,
    run: cancelling.ask,
  };
  const rerun = {
    name: "job.again",
    label: "Run again with changes",
    keys: "r",
    section: "Job",
    when: () => job !== undefined,
    run: () => again.change(),
  };
  const compare = {
    name: "job.compare",
    label: "Compare with other jobs",
    section: "Job",
    run: () => go(href("/compare", { jobs: id })),
  };
  const { pause, resume, extend } = goingOn;
  const repeat = {
    name: "job.repeat",
    label: "Run again, the same",
    section: "Job",
    when: () => job !== undefined,
    run: again.repeat,
  };
  const edit = (part: Part, label: string, keys: string) => ({
    name: `job.${part}`,
    label,
    keys,
    section: "Job",
    when: () => job !== undefined && canEdit(),
    run: () => {
      editing.value = part;
    },
  });
  const more: Action[] = [
    repeat,
    extend,
    edit("name", "Rename", "e"),
    edit("tags", "Edit tags", "t"),
    edit("notes", "Edit notes", "n"),
    {
      name: "job.delete",
      label: "Delete job",
      section: "Job",
      when: () => job !== undefined && !active && features.value.has("delete"),
      run: () =>
        void askToDelete([job!]).then((yes) => {
          if (yes) go("#/jobs");
        }),
    },
  ];
  useActions([open, pause, resume, cancel, rerun, compare, ...more]);
  useEffect(() => {
    editing.value = hasDraft(id) ? "notes" : null;
    return () => {
      editing.value = null;
    };
  }, [id]);
  const items = more.filter(canRun);
  return (
    <header class="job-head">
      <p class="job-crumb">
        <a href="#/jobs">Jobs</a>
      </p>
      <div class="job-title">
        <h1
          tabIndex={-1}
          class={editing.value === "name" ? "visually-hidden" : "job-name"}
          title={name.length > 80 ? name : undefined}
        >
          <bdi>{name}</bdi>
          <DryMark job={job} />
        </h1>
        {job && editing.value === "name" && <NameEdit id={id} name={job.name} />}
        <div class="job-actions">
          {active && <WatchButton id={id} />}
          {canRun(resume) && (
            <ActionButton
              action={resume}
              kind={status === "paused" ? "primary" : "plain"}
              busy={goingOn.busy}
            >
              Resume
            </ActionButton>
          )}
          {canRun(pause) && (
            <ActionButton action={pause} kind="quiet" busy={goingOn.busy}>
              Pause
            </ActionButton>
          )}
          {active && (
            <ActionButton action={cancel} kind="quiet" busy={cancelling.busy}>
              Cancel job
            </ActionButton>
          )}
          <ActionButton action={rerun} kind="quiet" />
          <a class="ui-button ui-button-quiet" href={href("/compare", { jobs: id })}>
            Compare
          </a>
          {job && canEdit() && <StarButton job={job} />}
          {items.length > 0 && (
            <Menu
              label="More actions"
              icon="more"
              items={items.map(({ name: key, label, keys, run }) => ({
                label,
                run,
                ...(keys ? { hint: keys.toUpperCase() } : {}),
                danger: key === "job.delete",
              }))}
            />
          )}
          {playground && (
            <a
              class={`ui-button ${status === "completed" ? "ui-button-primary" : "ui-button-plain"}`}
              href={playground}
            >
              Open in Playground
            </a>
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
      {again.error && <ErrorNote title="The form cannot be filled in" error={again.error} />}
      {goingOn.fault && <ErrorNote {...goingOn.fault} />}
      {cancelling.error && <ErrorNote title="The job was not cancelled" error={cancelling.error} />}
    </header>
  );
}

/** The checkpoint that the job began from. */
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

/** The final adapter or a better one, else the last checkpoint: a run that is still going can already be talked to. */
function playgroundHref(id: string, job: Job | undefined, run: Run, status: string): string | null {
  const best = bestStep(job);
  if (status === "completed")
    return href("/playground", { target: best === null ? `final:${id}` : `checkpoint:${id}:${best}` });
  const last = run.checkpoints.at(-1);
  return last ? href("/playground", { target: `checkpoint:${id}:${last.step}` }) : null;
}

function useCancel(id: string, name: string): { ask: () => void; busy: boolean; error: string | null } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const ask = async (): Promise<void> => {
    const gone = features.peek().has("resume") ? "" : "; it cannot be resumed";
    const text = `“${name}” stops at the step it is at. Checkpoints saved so far are kept${gone}.`;
    if (!(await confirm({ title: "Cancel this job?", text, action: "Cancel job", danger: true }))) return;
    setBusy(true);
    setError(null);
    try {
      await cancelJob(id);
    } catch (fault) {
      setError(errorText(fault));
    } finally {
      setBusy(false);
    }
  };
  return { ask: () => void ask(), busy, error };
}
