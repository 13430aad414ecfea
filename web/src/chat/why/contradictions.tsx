/** A job's training rows that contradict the rows most like them, and training without them. */
import { api, useAnswer, useAttempt } from "../../api/client";
import type { EvaluationComparison } from "../../contract.gen";
import { plural } from "../../lib/format";
import { clean } from "../../lib/text";
import { href } from "../../router";
import { Button } from "../../ui/controls/button";
import { ErrorNote } from "../../ui/empty";
import { progressOf, useAttribution } from "./attribution";
import { Ranked } from "./ranked";
import { timeOf } from "./time";
import { keepWords } from "./words";

export function Contradictions({ jobId }: { jobId: string }) {
  const { result: attribution, failed, ask, again } = useAttribution(jobId, {});
  const { busy, attempt } = useAttempt();
  const proof = attribution?.proof;
  if (failed) return <ErrorNote title="The rows were not compared" error={failed} retry={again} />;
  if (attribution?.state !== "completed") return <p class="hint">{progressOf(attribution)}</p>;
  const contradicting = attribution.contradicting ?? [];
  const rows = contradicting.length > 0 ? contradicting : (attribution.unproven ?? []);
  const nothing = contradicting.length === 0 && (
    <p>Nothing stands out: no row contradicts the rows most like it.</p>
  );
  if (rows.length === 0) return nothing;
  const them = rows.length === 1 ? "it" : "them";
  const without = proof?.jobs.without ?? "";
  return (
    <div class="why-found">
      {nothing}
      <Ranked
        title={
          nothing
            ? "Unproven: the rows that agree least with those most like them. Clean data has such rows, too; a wrong row that was learned by heart is most likely among them."
            : `${plural(rows.length, "row")} of ${attribution.rows} against the rows most like ${them}`
        }
        rows={rows}
        jobId={jobId}
        score="Agreement with the rows most like it, from −1 to 1"
      />
      {proof?.state === "failed" && proof.error && (
        <ErrorNote title={`The training without ${them} failed`} error={proof.error} />
      )}
      {proof?.state === "training" ? (
        <p class="hint">
          Training <a href={href(`/jobs/${without}`)}>without {them}</a>.
        </p>
      ) : proof?.state === "completed" ? (
        <Judged jobId={jobId} without={without} them={them} />
      ) : (
        <>
          <Button busy={busy} onClick={() => void attempt(() => ask("/proof"))}>
            Try without {them}
          </Button>
          <p class="hint">
            Trains this job once more{timeOf(jobId, 1)}. The held-out rows, which took no part in the search,
            say whether that is better.
          </p>
        </>
      )}
    </div>
  );
}

/** How training without the rows changed the held-out rows, which took no part in the search. */
function Judged({ jobId, without, them }: { jobId: string; without: string; them: string }) {
  const path = `/jobs/${encodeURIComponent(without)}/evaluation?against=${encodeURIComponent(jobId)}`;
  const { answer, error, retry } = useAnswer(
    (signal) => api<EvaluationComparison>(path, { signal }),
    [jobId, without],
  );
  if (error) return <ErrorNote title="Not compared yet" error={error} retry={retry} />;
  if (answer === null) return <p class="hint">Comparing both on the held-out rows</p>;
  const judged = answer.comparison;
  return (
    <>
      <p>{keepWords(judged.verdict, them)}</p>
      <p class="hint">{clean(judged.sentence, 600)}</p>
      <p>
        <a href={href("/compare", { jobs: `${jobId},${without}` })}>Compare both</a>
      </p>
    </>
  );
}
