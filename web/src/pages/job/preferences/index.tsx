/** What people prefer: the run that learns from it, and a blind test of the run that has learned from it. */
import { useEffect, useState } from "preact/hooks";
import { learnedFrom, preferences } from "../../../chat/preferences";
import { nameTarget, parseTarget } from "../../../chat/targets";
import type { Job, Vote } from "../../../contract.gen";
import { answererOf, bestStep } from "../../../lib/best-step";
import { plural } from "../../../lib/format";
import { href } from "../../../router";
import { features } from "../../../store/features";
import { jobById, jobs } from "../../../store/jobs";
import { keptVotes } from "../../blind/votes";
import { LEAST, tallyOf, verdictOf, votesIn } from "../../blind/wilson";
import { styles } from "../corrections/styles";
import { TrainOnPreferences } from "./train-on";

export function JobPreferences({ job }: { job: Job }) {
  const known = preferences.value;
  const learned = known ? learnedFrom(job, known).length : 0;
  return (
    <section style={styles.section} aria-label="Preferences">
      {learned > 0 && <BeforeAndAfter job={job} learned={learned} />}
      <TrainOnPreferences job={job} step={bestStep(job)} />
    </section>
  );
}

/** The new adapter against its starting point, on the prompts that it learned from. */
function BeforeAndAfter({ job, learned }: { job: Job; learned: number }) {
  const [votes, setVotes] = useState<readonly Vote[]>([]);
  const keys = { one: beforeOf(job), other: answererOf(job) };
  const [first, other] = [parseTarget(keys.one), parseTarget(keys.other)];
  useEffect(() => {
    if (first && other) void keptVotes(job, job.id, first, other).then(setVotes, () => undefined);
  }, [keys.one, keys.other, features.value]);
  if (!first || !other) return null;
  const tally = tallyOf(votes, keys.one, keys.other);
  const count = votesIn(tally);
  const names = { one: nameTarget(first, jobs.value).name, other: "The new adapter" };
  return (
    <>
      <h2>Preferences</h2>
      <p>This run learned from {plural(learned, "preference")}.</p>
      {count >= LEAST ? (
        <p>
          Blind test: <bdi>{verdictOf(tally, names)}</bdi>
        </p>
      ) : (
        <p class="hint">
          {count > 0 ? `${plural(count, "vote")} of ${LEAST} so far.` : "Is it preferred now?"} A blind test
          asks the same prompts again, new against old.
        </p>
      )}
      <p>
        <a href={href("/blind", { target: keys.one, against: keys.other, questions: "preferences" })}>
          {count > 0 ? "Continue the blind test" : "Blind test on the same prompts"}
        </a>
      </p>
    </>
  );
}

/** The model before the run: the adapter that it started from, else its base model. */
function beforeOf({ parent, config }: Job): string {
  if (!parent) return `base:${config.model}`;
  const { jobId, step } = parent;
  const checkpoint = bestStep(jobById(jobId)) === step;
  return checkpoint ? `checkpoint:${jobId}:${step}` : `final:${jobId}`;
}
