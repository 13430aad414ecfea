/** A job's training rows that contradict the rows most like them, and a training without them. */
import { useState } from "preact/hooks";
import { plural } from "../../lib/format";
import { href } from "../../router";
import { Button } from "../../ui/controls/button";
import { ErrorNote } from "../../ui/empty";
import { progressOf, useAttribution } from "./attribution";
import { Ranked } from "./ranked";

export function Contradictions({ jobId }: { jobId: string }) {
  const { told, failed, ask, again } = useAttribution(jobId, {});
  const [busy, setBusy] = useState(false);
  const start = async (): Promise<void> => {
    setBusy(true);
    await ask("/proof");
    setBusy(false);
  };
  const proof = told?.proof;
  if (failed) return <ErrorNote title="The rows were not compared" error={failed} retry={again} />;
  if (told?.state !== "completed") return <p class="hint">{progressOf(told)}</p>;
  const rows = told.contradicting ?? [];
  if (rows.length === 0) return <p>Nothing stands out: no row contradicts the rows most like it.</p>;
  const without = proof?.jobs.without ?? "";
  return (
    <div class="why-proof">
      <Ranked
        title={`${plural(rows.length, "row")} of ${told.rows} against the rows most like ${rows.length === 1 ? "it" : "them"}`}
        rows={rows}
        jobId={jobId}
      />
      {proof?.state === "failed" && proof.error && (
        <ErrorNote title="The training without them failed" error={proof.error} />
      )}
      {proof?.state === "training" ? (
        <p class="hint">
          Training <a href={href(`/jobs/${without}`)}>without them</a>.
        </p>
      ) : proof?.state === "completed" ? (
        <p>
          Trained without them:{" "}
          <a href={href("/compare", { jobs: `${jobId},${without}` })}>compare both on the held-out rows</a>,
          which took no part in the search.
        </p>
      ) : (
        <Button busy={busy} onClick={() => void start()}>
          Try without them
        </Button>
      )}
    </div>
  );
}
