/** Which of two is better: their adapters on the same rows, and their settings over runs with several seeds. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, errorText } from "../../api/client";
import type { EvaluationComparison, Job } from "../../contract.gen";
import { isObject } from "../../lib/json";
import { clean, displayName } from "../../lib/text";
import { features } from "../../store/features";
import { loadManifest, manifestError, trainerOfJob } from "../../store/manifest";
import { startTraining } from "../../store/start-training";
import { Button } from "../../ui/controls/button";
import { say } from "../../ui/controls/live";
import { ErrorNote } from "../../ui/empty";
import { generalSentence } from "./diff";
import type { Compared } from "./tables";

const SEEDS = 3;

interface Said {
  id: string;
  text: string;
  /** Why the two cannot be compared. */
  refused: boolean;
  /** More seeds would suffice. */
  short?: boolean;
}

export function Paired({ compared }: { compared: readonly Compared[] }) {
  const judged = compared.filter(({ job }) => isObject(job?.evaluation));
  if (judged.length < 2 || !features.value.has("evaluation")) return null;
  return (
    <>
      <Sentences title="Adapter against adapter" judged={judged} query="" />
      {judged.length === 2 && (
        <Sentences title="Settings against settings" judged={judged} query="&seeds=true">
          <Repeat jobs={judged.map(({ job }) => job!)} />
        </Sentences>
      )}
    </>
  );
}

interface Props {
  title: string;
  judged: readonly Compared[];
  query: string;
  /** Shown below what more seeds would settle. */
  children?: ComponentChildren;
}

/** Each of the other jobs compared with the first. */
function Sentences({ title, judged, query, children }: Props) {
  const [comparisons, setComparisons] = useState<readonly Said[]>([]);
  const [first, ...rest] = judged;
  // Another measurement may differ.
  const version = judged.map(({ id, job }) => `${id} ${job?.evaluation?.seconds}`).join();
  useEffect(() => {
    const stop = new AbortController();
    const ask = async ({ id }: Compared): Promise<Said> => {
      const against = `against=${encodeURIComponent(first!.id)}${query}`;
      const path = `/jobs/${encodeURIComponent(id)}/evaluation?${against}`;
      try {
        const { comparison } = await api<Partial<EvaluationComparison>>(path, { signal: stop.signal });
        return { id, text: clean(comparison?.sentence, 600), refused: false };
      } catch (fault) {
        return {
          id,
          text: errorText(fault),
          refused: true,
          short: fault instanceof ApiError && "seeds" in fault.extra,
        };
      }
    };
    setComparisons([]);
    void Promise.all(rest.map(ask)).then((all) => {
      if (!stop.signal.aborted) setComparisons(all);
    });
    return () => stop.abort();
  }, [version]);
  return (
    <section aria-label={title} class="compare-paired">
      <h2>{title}</h2>
      <dl>
        {rest.map(({ id, name, job }) => {
          const comparison = comparisons.find((candidate) => candidate.id === id);
          const general = query === "" ? generalSentence(job, first!.job, first!.name) : "";
          return (
            <div key={id}>
              <dt>
                <bdi>{name}</bdi>
              </dt>
              <dd>
                <span class={comparison?.refused ? "dim" : ""}>{comparison ? comparison.text : "…"}</span>{" "}
                {general}
              </dd>
            </div>
          );
        })}
      </dl>
      {comparisons.some(({ short }) => short) && children}
    </section>
  );
}

/** Trains both jobs' settings again with the next seeds. */
function Repeat({ jobs }: { jobs: readonly Job[] }) {
  const [state, setState] = useState<"" | "starting" | "started">("");
  const [error, setError] = useState("");
  const repeat = async (): Promise<void> => {
    setState("starting");
    setError("");
    try {
      for (const job of jobs) await start(job);
      setState("started");
      say("Training started");
    } catch (fault) {
      setState("");
      setError(errorText(fault));
    }
  };
  return (
    <>
      {error && <ErrorNote error={error} />}
      <Button small disabled={state !== ""} onClick={() => void repeat()}>
        {state === "started"
          ? "Training; compare again when the runs are over"
          : `Repeat both with ${SEEDS} seeds`}
      </Button>
    </>
  );
}

async function start(job: Job): Promise<void> {
  await loadManifest();
  const trainer = trainerOfJob(job.name);
  const name = displayName(job.name);
  if (!trainer) throw new Error(manifestError.peek() ?? `There is no trainer ${name} in arkor.toml.`);
  const run = await startTraining(trainer, false, { like: job.id, seeds: SEEDS });
  if (run === null) throw new Error("The project was edited a moment ago. Try again.");
}
