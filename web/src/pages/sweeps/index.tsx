/** Searches for better settings: the verdict of one, its trials so far, and a form to start another. */
import { signal, useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../api/client";
import type { Sweep, SweepVerdict } from "../../contract.gen";
import { clock, number, plural, time } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { go, href, jobHref, route } from "../../router";
import { setTitle } from "../../store/document-title";
import { features } from "../../store/features";
import { deleteJob, isOver, jobs, refreshJobs } from "../../store/jobs";
import { loadManifest, manifest, reloadManifest, trainerNamed, undoWrite } from "../../store/manifest";
import { poll } from "../../store/poll";
import { Button } from "../../ui/controls/button";
import { announce } from "../../ui/controls/live";
import { confirm } from "../../ui/dialog";
import { WriteDialog } from "../../ui/diff";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { RelativeTime } from "../../ui/time";
import { BestOverTime, Importances, Parallel, TrialTable } from "./figures";
import { StartForm } from "./form";
import { isWorthDrawing, labelOf, searched, valueText } from "./model";
import { Effects } from "./sources";
import { styles } from "./styles";
import "../../chart/chart.css";

const POLL_MS = 3000;
const SUFFIX = / sweep$/;

const sweeps = signal<readonly Sweep[] | null>(null);
const failure = signal<string | null>(null);

async function load(): Promise<void> {
  try {
    sweeps.value = (await api<{ sweeps: Sweep[] }>("/sweeps")).sweeps;
    failure.value = null;
  } catch (error) {
    failure.value = errorText(error);
  }
}

export default function Sweeps() {
  const { query } = route.value;
  useEffect(() => {
    setTitle("Sweeps");
    void loadManifest();
    const polling = poll(load, () => POLL_MS);
    return () => polling.stop();
  }, []);
  const all = sweeps.value;
  const id = query.get("id");
  const sweep = query.has("new") ? undefined : all?.find((entry) => id === null || entry.id === id);
  return (
    <div style={styles.page} data-focus-next="h1">
      <header style={styles.row}>
        <h1 tabIndex={-1}>{sweep ? displayName(sweep.name) : "Search for better settings"}</h1>
        {sweep && (
          <a class="ui-button ui-button-plain ui-button-small" href={href("/sweeps", { new: true })}>
            New search
          </a>
        )}
      </header>
      {failure.value && !all && <ErrorNote title="The sweeps could not be read" error={failure.value} />}
      {!all && !failure.value && <Skeleton lines={6} height={20} />}
      {sweep && <One key={sweep.id} sweep={sweep} />}
      {all && !sweep && id && (
        <Empty title="This sweep was deleted.">
          <a href={href("/jobs", { sweep: id })}>Show its jobs</a>
        </Empty>
      )}
      {all && !sweep && !id && <StartForm />}
      {all && all.length > 0 && (
        <nav aria-label="Sweeps">
          <h2>All sweeps</h2>
          <ul style={styles.list}>
            {all.map((entry) => (
              <li key={entry.id}>
                <a href={href("/sweeps", { id: entry.id })}>{displayName(entry.name)}</a>{" "}
                <span class="dim">
                  {entry.state}, <RelativeTime at={entry.createdAt} />
                </span>
              </li>
            ))}
          </ul>
        </nav>
      )}
    </div>
  );
}

function One({ sweep }: { sweep: Sweep }) {
  const problem = useSignal<[title: string, error: string] | null>(null);
  const { verdict } = sweep;
  const stop = async (): Promise<void> => {
    const text = sweep.runs
      ? "Its running job is cancelled. Its runs say something together only."
      : "Its running trial is cancelled. Without the runs that confirm the best trial there is no winner.";
    if (!(await confirm({ title: "Stop the sweep", text, action: "Stop sweep", danger: true }))) return;
    try {
      await api(`/sweeps/${encodeURIComponent(sweep.id)}/stop`, { method: "POST" });
      announce("The sweep has ended");
      await load();
    } catch (error) {
      problem.value = ["The sweep could not be stopped", errorText(error)];
    }
  };
  const remove = async (): Promise<void> => {
    try {
      if (!(await askToDelete(sweep))) return;
      announce("The sweep was deleted");
      go(href("/sweeps"));
      await load();
    } catch (error) {
      problem.value = ["The sweep could not be deleted", errorText(error)];
    }
  };
  return (
    <>
      <section style={styles.result} aria-label="Result">
        <p style={styles.verdict}>{verdict ? clean(verdict.sentence, 600) : progressWords(sweep)}</p>
        {sweep.error && <ErrorNote title="The sweep has failed" error={clean(sweep.error, 1000)} />}
        {problem.value && <ErrorNote title={problem.value[0]} error={problem.value[1]} />}
        <div style={styles.row}>
          {verdict?.settings && <Winner sweep={sweep} verdict={verdict} />}
          {sweep.state === "running" && (
            <Button kind="danger" onClick={() => void stop()}>
              Stop sweep
            </Button>
          )}
          <a class="ui-button ui-button-plain" href={href("/jobs", { sweep: sweep.id })}>
            Show its jobs
          </a>
          {sweep.state !== "running" && (
            <Button kind="quiet" onClick={() => void remove()}>
              Delete sweep
            </Button>
          )}
        </div>
      </section>
      {sweep.effects && sweep.effects.length > 0 && <Effects sweep={sweep} effects={sweep.effects} />}
      {!sweep.runs && isWorthDrawing(sweep) && (
        <>
          <BestOverTime sweep={sweep} />
          <Parallel sweep={sweep} />
          <Importances sweep={sweep} />
        </>
      )}
      {!sweep.runs && <TrialTable sweep={sweep} jobHref={jobHref} />}
      {searched(sweep).length === 0 && sweep.state === "running" && (
        <Empty title="No trial has begun yet.">First a run of your settings is estimated.</Empty>
      )}
    </>
  );
}

/** Asks whether to delete a sweep, and its jobs with it; true once the sweep is deleted. */
async function askToDelete(sweep: Sweep): Promise<boolean> {
  const own = jobs.peek().filter((job) => job.sweep?.id === sweep.id && isOver(job));
  let withJobs = false;
  const text = (
    <>
      Its trials and its verdict are deleted.
      {own.length > 0 && features.value.has("delete") && (
        <label style={styles.also}>
          <input
            class="ui-check"
            type="checkbox"
            onChange={(event) => {
              withJobs = event.currentTarget.checked;
            }}
          />
          Also delete {plural(own.length, "job")}, with adapters and checkpoints
        </label>
      )}
    </>
  );
  const title = `Delete “${displayName(sweep.name)}”?`;
  if (!(await confirm({ title, text, action: "Delete sweep", danger: true }))) return false;
  await api(`/sweeps/${encodeURIComponent(sweep.id)}`, { method: "DELETE" });
  if (withJobs) {
    for (const { id } of own) await deleteJob(id);
    refreshJobs();
  }
  return true;
}

function progressWords(sweep: Sweep): string {
  const done = searched(sweep).filter(({ results }) => results.length > 0).length;
  if (sweep.state !== "running") return "";
  if (sweep.held) return clean(sweep.held, 1000);
  const ends = time(sweep.plan?.endsAt);
  const confirming = sweep.trials.some(({ role }) => role === "winner");
  const parts = [
    sweep.plan
      ? `${number(done)} of ${sweep.runs ? plural(sweep.runs, "run") : `about ${plural(sweep.plan.trials, "trial")}`}`
      : "Estimating a run",
    confirming ? "the best is being confirmed with fresh seeds" : "",
    ends !== null
      ? `ends about ${clock(ends, false)}`
      : sweep.plan && "the end is estimated once a trial has been timed",
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}

/** The winner's settings, and the button that writes them. */
function Winner({ sweep, verdict }: { sweep: Sweep; verdict: SweepVerdict }) {
  const [open, setOpen] = useState(false);
  const trainer = trainerNamed(sweep.name.replace(SUFFIX, ""));
  const revision = manifest.value?.revision;
  const settings = verdict.settings ?? {};
  const words = Object.entries(settings)
    .map(([field, value]) =>
      value === null ? `no ${labelOf(field)}` : `${labelOf(field)} ${valueText(field, value)}`,
    )
    .join(", ");
  return (
    <>
      <p style={{ width: "100%" }}>{words}</p>
      {trainer && revision ? (
        <Button
          kind="primary"
          // The file may have been edited while the sweep ran, and the dialog shows the change before it is written.
          onClick={() => void reloadManifest().then(() => setOpen(true))}
        >
          Write to arkor.toml
        </Button>
      ) : (
        <p class="hint">The trainer of this sweep is no longer in arkor.toml.</p>
      )}
      {open && trainer && revision && (
        <WriteDialog
          post={(preview) =>
            api("/manifest/settings", {
              method: "POST",
              body: { trainer: trainer.name, revision, settings, preview },
            })
          }
          written={reloadManifest}
          undo={undoWrite}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}
