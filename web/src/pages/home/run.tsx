import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { errorText } from "../../api/client";
import type { TrainingRun } from "../../contract.gen";
import { now } from "../../lib/clock";
import { clock, duration, time } from "../../lib/format";
import { late } from "../../lib/late";
import { clean, displayName } from "../../lib/text";
import { jobHref, setQuery } from "../../router";
import { cancelJob, isOver, jobById, jobsState, refreshJobs } from "../../store/jobs";
import { manifest, trainerNamed } from "../../store/manifest";
import { RunOutput } from "../../store/output";
import { ordinal } from "../../store/queue";
import { isLive, loadRuns, runs, stopRun } from "../../store/runs";
import { watch } from "../../store/watch";
import { Button } from "../../ui/controls/button";
import { announce } from "../../ui/controls/live";
import { Menu } from "../../ui/controls/menu";
import { confirm } from "../../ui/dialog";
import { ErrorNote } from "../../ui/empty";
import { StatusDot } from "../../ui/status";
import { WatchButton } from "../job/progress/watch-button";
import { branchBegan } from "./branch";
import { foundJob, openRun, pressedRun, shownRun, startedRun } from "./open-run";

const useOutput = late(() => import("./output"));

/** Loaded with the first command: Home starts without it. */
const liveJob = signal<typeof import("./live").LiveJob | null>(null);

/** The started command: its job's curve, and its output, folded. */
export function RunPanel({
  live,
  typescript = false,
}: {
  live?: TrainingRun | undefined;
  typescript?: boolean;
}) {
  const run = (shownRun.value === null ? live : undefined) ?? openRun.value;
  return run ? <Panel key={run.id} run={run} typescript={typescript} /> : null;
}

function Panel({ run, typescript }: { run: TrainingRun; typescript: boolean }) {
  const [output] = useState(() => new RunOutput(run.id));
  const [error, setError] = useState<string | null>(null);
  const [followed] = useState(isLive(run) || shownRun.value === run.id);
  const [picked, setPicked] = useState<boolean | null>(null);
  useEffect(() => {
    void import("./live").then(({ LiveJob }) => {
      liveJob.value = LiveJob;
    });
    return () => output.close();
  }, [output]);
  const LiveJob = liveJob.value;
  const jobId = output.jobId.value ?? run.jobId;
  const job = jobId ? jobById(jobId) : undefined;
  const ended = output.ending.value !== null || run.state === "ended";
  const gone = jobsState.value.loaded && jobId !== null && job === undefined;
  const log = picked ?? (followed && (typescript || (ended && !jobId)));
  const loaded = useOutput(log);
  useEffect(() => {
    foundJob.value = jobId;
    if (jobId) void refreshJobs();
  }, [jobId, ended]);
  // The output ends before the list of runs is updated; the next run need not wait for it.
  const over = output.ending.value !== null;
  useEffect(() => {
    if (over && isLive(run)) void loadRuns();
  }, [over]);
  // Watches a training run that was started here, unless the user turns that off.
  useEffect(() => {
    if (!jobId || ended || startedRun.peek() !== run.id) return;
    startedRun.value = null;
    watch(jobId);
  }, [jobId, ended]);

  // A branch or a quick test is requested once: after its job was created, the next press starts an ordinary run.
  useEffect(() => {
    if (!jobId || pressedRun.peek() !== run.id) return;
    pressedRun.value = null;
    const trainer = trainerNamed(run.trainer ?? undefined, manifest.peek());
    if (trainer) branchBegan(jobId, trainer);
    setQuery({ dry: null });
  }, [jobId]);

  const attempt = async (action: () => Promise<void>, message: string): Promise<void> => {
    setError(null);
    try {
      await action();
      announce(message);
    } catch (problem) {
      setError(errorText(problem));
    }
  };
  const cancel = async (): Promise<void> => {
    if (!jobId) return;
    const text = "Training ends at the next step. Checkpoints that were saved are kept.";
    if (
      await confirm({
        title: `Cancel ${displayName(job?.name ?? "the job")}`,
        text,
        action: "Cancel job",
        danger: true,
      })
    ) {
      await attempt(() => cancelJob(jobId), "Cancelling job");
    }
  };
  const stop = (): Promise<void> =>
    attempt(() => stopRun(run.id), jobId ? "Hidden; the job keeps running" : "The command was stopped");
  const active = job !== undefined && !isOver(job);
  // For a job that ended before this visit, only the outcome is shown.
  const seen = followed || active;
  return (
    <section class="home-output" aria-labelledby="home-output" data-focus-next="a, button">
      <header class="row home-output-head">
        <h2 id="home-output" class={ended ? "" : "visually-hidden"}>
          {ended ? "Last run" : "Running now"} <Command run={run} />
        </h2>
        <State run={run} output={output} />
        <span
          class="home-output-actions"
          data-focus-next=".home-output-actions a, .home-output-actions button, .home-run, .home-log button"
        >
          {jobId && gone && ended && <span class="hint">Job deleted</span>}
          {jobId ? (
            !(gone && ended) && (
              <a
                class={`ui-button ${ended ? "ui-button-small ui-button-plain" : "ui-button-primary"}`}
                href={jobHref(jobId)}
              >
                Open job
              </a>
            )
          ) : ended ? null : (
            <Button kind="primary" busy>
              Starting
            </Button>
          )}
          {active && seen && (
            <Button
              small={ended}
              title="Ends the training; saved checkpoints are kept"
              onClick={() => void cancel()}
            >
              Cancel job
            </Button>
          )}
          {active && seen && <WatchButton id={job.id} small={ended} />}
          <Others run={run} />
        </span>
      </header>
      {error && <ErrorNote title="The request failed" error={error} />}
      {jobId && seen && LiveJob && !(ended && gone) && job?.status !== "completed" && (
        <LiveJob id={jobId} job={job} />
      )}
      <div class="home-log">
        <Button
          small
          kind="quiet"
          icon={log ? "down" : "right"}
          aria-expanded={log}
          onClick={() => setPicked(!log)}
        >
          Log
        </Button>
        {!ended && (
          <Button small kind="quiet" busy={run.state === "stopping"} onClick={() => void stop()}>
            {jobId ? "Hide (job keeps running)" : "Stop the command"}
          </Button>
        )}
      </div>
      {loaded && <loaded.Output output={output} name={`${run.trainer ?? "training"}-${jobId ?? run.id}`} />}
    </section>
  );
}

function Command({ run }: { run: TrainingRun }) {
  return (
    <span class="hint">
      <bdi>{displayName(run.trainer ?? run.file ?? "training")}</bdi>
      {run.dryRun && ", quick test"}
    </span>
  );
}

/** The command's state, as a word and a shape; its job's state is shown separately. */
function State({ run, output }: { run: TrainingRun; output: RunOutput }) {
  const ending = output.ending.value;
  const job = jobById(output.jobId.value ?? run.jobId ?? "");
  const since = time(run.started);
  if (!ending && run.state !== "ended") {
    const queued = job?.status === "queued";
    const position = ordinal(job?.queue?.position);
    const word =
      run.state === "stopping"
        ? "Stopping"
        : output.version.value === 0
          ? "Connecting"
          : queued
            ? `Queued${position && `, ${position}`}`
            : "Running";
    return (
      <span class="row num home-output-state">
        <StatusDot status={queued ? "queued" : "running"} label={word} />
        {since !== null && <span class="hint">{duration(now.value - since)}</span>}
      </span>
    );
  }
  const exit = ending ? ending.exit : run.exitCode;
  // A command that was only hidden says nothing about its job.
  const hidden = job !== undefined && isStopped(exit);
  const took = !hidden && since !== null && run.ended ? (time(run.ended) ?? since) - since : null;
  return (
    <span class="row num home-output-state">
      {job ? <StatusDot status={job.status} /> : <StatusDot {...exitStatus(exit, run)} />}
      <span class="hint">
        {/* Once the job has ended, the command's exit adds nothing. */}
        {hidden || (job && isOver(job)) ? "" : ending?.why ? clean(ending.why, 200) : exitWords(exit, run)}
        {took !== null && ` after ${duration(took)}`}
        {exit !== 0 &&
          job &&
          !isOver(job) &&
          job.status !== "paused" &&
          (hidden ? "The job keeps running" : "; the job keeps running")}
      </span>
    </span>
  );
}

/** How `arkor-dev start` exits after its job was cancelled, or paused. */
const CANCELLED = 3;
const PAUSED = 4;

/** 128 + n is signal n: 2 and 15 are how Studio and users stop a command. */
const isStopped = (exit: number | null): boolean => exit === 130 || exit === 143;

function exitStatus(exit: number | null, { jobId }: TrainingRun): { status: string; label?: string } {
  if (jobId && exit === CANCELLED) return { status: "cancelled" };
  if (jobId && exit === PAUSED) return { status: "paused" };
  if (isStopped(exit)) return { status: "cancelled", label: "Stopped" };
  return exit === 0 ? { status: "completed", label: "Ended" } : { status: "failed" };
}

function exitWords(exit: number | null, { jobId }: TrainingRun): string {
  if (exit === null) return "couldn't start";
  if (exit === 0 || exit === PAUSED || (jobId && exit === CANCELLED)) return "command ended";
  if (isStopped(exit)) return "command stopped";
  // The system ends a process that takes too much memory with signal 9.
  if (exit === 137) return "killed, possibly out of memory";
  return `command ended with status ${exit}`;
}

function Others({ run }: { run: TrainingRun }) {
  const list = runs.value ?? [];
  if (list.length < 2) return null;
  const items = list.slice(0, 20).map((other) => ({
    label: displayName(other.trainer ?? other.file ?? other.id),
    hint: clock(Date.parse(other.started)),
    checked: other.id === run.id,
    run: () => {
      shownRun.value = other.id;
    },
  }));
  return <Menu small label={`${list.length} runs`} items={items} />;
}
