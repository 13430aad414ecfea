/** Training rows that may be behind an answer of a job's adapter, and training without them. */
import { useAttempt } from "../../api/client";
import type { Attribution, ChatMessage, Proof } from "../../contract.gen";
import { cleanBlock } from "../../lib/text";
import { href } from "../../router";
import { Button } from "../../ui/controls/button";
import { ErrorNote } from "../../ui/empty";
import { progressOf, useAttribution } from "./attribution";
import { Ranked } from "./ranked";
import { timeOf } from "./time";
import { perToken, proofLines, proofVerdict, reliabilityWords, similarTitle } from "./words";
import "./why.css";

const TEXT = 300;

interface Props {
  jobId: string;
  messages: readonly ChatMessage[];
  answer: string;
  onClose: () => void;
}

export function Why({ jobId, messages, answer, onClose }: Props) {
  const { result: attribution, failed, waits, ask, again } = useAttribution(jobId, { messages, answer });
  return (
    <section class="why" aria-label="Why this answer" aria-busy={waits}>
      <header class="why-head">
        <h3>Why this answer</h3>
        <Button kind="quiet" small icon="close" aria-label="Close" title="Close" onClick={onClose} />
      </header>
      {failed ? (
        <ErrorNote title="This answer was not traced" error={failed} retry={again} />
      ) : attribution?.state === "completed" ? (
        <Rows attribution={attribution} jobId={jobId} prove={() => ask("/proof")} />
      ) : (
        <p class="hint">{progressOf(attribution)}</p>
      )}
    </section>
  );
}

function Rows({
  attribution,
  jobId,
  prove,
}: {
  attribution: Attribution;
  jobId: string;
  prove: () => Promise<void>;
}) {
  const shares = `${perToken(attribution.adapter)} a token under the adapter, ${perToken(attribution.base)} under the base model.`;
  if (attribution.learned !== true) {
    return (
      <>
        <p>The base model says this too.</p>
        <p class="hint num">{shares} The adapter makes it no likelier, so no row is behind it.</p>
      </>
    );
  }
  return (
    <>
      <p class="num">{shares}</p>
      <Ranked title={similarTitle(attribution)} rows={attribution.similar ?? []} jobId={jobId} />
      <p class="hint">{reliabilityWords(attribution.reliability)}</p>
      <Prove proof={attribution.proof} rows={attribution.similar?.length ?? 0} jobId={jobId} prove={prove} />
    </>
  );
}

interface ProveProps {
  proof: Proof | undefined;
  rows: number;
  jobId: string;
  prove: () => Promise<void>;
}

function Prove({ proof, rows, jobId, prove }: ProveProps) {
  const { busy, attempt } = useAttempt();
  if (rows === 0) return null;
  if (proof?.state === "completed") {
    return (
      <div class="why-proof">
        <p>{proofVerdict(proof)}</p>
        <dl>
          {proofLines(proof).map(({ key, name, share, text }) => (
            <div key={key}>
              <dt>
                {name} <span class="num dim">{share} a token</span>
              </dt>
              <dd dir="auto">{cleanBlock(text, TEXT) || <span class="hint">(an empty answer)</span>}</dd>
            </div>
          ))}
        </dl>
      </div>
    );
  }
  if (proof?.state === "training" || proof?.state === "scoring") {
    return (
      <p class="hint">
        {proof.state === "scoring" ? (
          "Asking the three adapters."
        ) : (
          <>
            Training <a href={href(`/jobs/${proof.jobs.without}`)}>without these rows</a> and{" "}
            <a href={href(`/jobs/${proof.jobs.random}`)}>without random ones</a>.
          </>
        )}
      </p>
    );
  }
  return (
    <div class="why-proof">
      {proof?.error && <ErrorNote title="The proof failed" error={proof.error} />}
      <Button busy={busy} onClick={() => void attempt(prove)}>
        Prove it
      </Button>
      <p class="hint">
        Trains this job twice more{timeOf(jobId, 2)}: without these rows, and without random ones.
      </p>
    </div>
  );
}
