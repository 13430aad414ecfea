/** The parts of the page whose code is loaded for jobs with content for them. */

import { useState } from "preact/hooks";
import { includes } from "../../chat/preferences";
import type { Job } from "../../contract.gen";
import { bestStep } from "../../lib/best-step";
import { isObject } from "../../lib/json";
import { late } from "../../lib/late";
import { displayName } from "../../lib/text";
import { features, methods } from "../../store/features";
import { Button } from "../../ui/controls/button";
import type { JobChart } from "./progress/curve";
import type { JobNow } from "./state";

interface WithChart extends JobNow {
  chart: JobChart;
}

const useResult = late(() => import("./result"));
const useRollouts = late(() => import("./rollouts"));
const usePreferences = late(() => import("./preferences"));
const useContradictions = late(() => import("../../chat/why/contradictions"));
const useCorrections = late(() => import("./corrections"));
const useCertificate = late(() => import("./certificate"));

export function LazyVerdict({ job, run, status }: JobNow) {
  const some =
    job !== undefined &&
    (isObject(job.evaluation) || (features.value.has("evaluation") && status === "completed"));
  const code = useResult(some);
  return job && code ? <code.Verdict key={job.id} job={job} answers={run.answers} /> : null;
}

export function LazyAnswers(props: WithChart) {
  const code = useResult(props.run.answers.length > 0);
  return code && <code.Answers {...props} />;
}

export function LazyRollouts({ run, version }: JobNow) {
  const code = useRollouts(run.rollouts.length > 0);
  return code && <code.Rollouts events={run.rollouts} version={version} />;
}

export function LazyExports({ job }: { job: Job | undefined }) {
  const code = useResult(job !== undefined && features.value.has("exports"));
  return job && code ? (
    <code.Exports key={job.id} id={job.id} name={displayName(job.name)} best={bestStep(job)} />
  ) : null;
}

export function LazyCorrections({ job }: { job: Job | undefined }) {
  const code = useCorrections(includes(job?.config?.datasetSource, "data/corrections.jsonl"));
  return job && code ? <code.CorrectedQuestions key={job.id} job={job} /> : null;
}

export function LazyCertificate({ job, status }: JobNow) {
  const config: unknown = job?.config;
  const code = useCertificate(status === "completed" && isObject(config) && Array.isArray(config.forgets));
  return job && code ? (
    <section aria-label="Deleted rows">
      <h2>Deleted rows</h2>
      <code.DeletedRows key={job.id} id={job.id} />
    </section>
  ) : null;
}

/** Searched for on request: it takes as long as an epoch of training. */
export function LazyContradictions({ job, status }: JobNow) {
  const [requested, setRequested] = useState(false);
  const code = useContradictions(requested);
  if (!job || status !== "completed" || !features.value.has("attribution")) return null;
  return (
    <section aria-label="Contradicting rows" style={{ display: "grid", gap: "8px", justifyItems: "start" }}>
      <h2>Contradicting rows</h2>
      {code ? (
        <code.Contradictions key={job.id} jobId={job.id} />
      ) : (
        <>
          <p>
            <Button busy={requested} onClick={() => setRequested(true)}>
              Look for rows that hurt
            </Button>
          </p>
          <p class="hint">
            Finds rows that contradict the rows most like them. Takes about as long as an epoch of training.
          </p>
        </>
      )}
    </section>
  );
}

export function LazyPreferences({ job }: { job: Job | undefined }) {
  const code = usePreferences(methods.value.some(({ preference }) => preference));
  return job && code ? <code.JobPreferences key={job.id} job={job} /> : null;
}
