/** One attribution of the backend, requested and followed until nothing more will change. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../api/client";
import type { Attribution, ChatMessage } from "../../contract.gen";
import { number } from "../../lib/format";
import { poll } from "../../store/poll";
import { pending } from "./words";

const EVERY_MS = 1000;

interface Followed {
  result: Attribution | null;
  /** Why it failed, or empty. */
  failed: string;
  waits: boolean;
  /** Posts to a path below it. */
  ask: (below: string) => Promise<void>;
  /** Requests it again, after a failure. */
  again: () => void;
}

/** Follows the attribution of an answer; without `messages`, the search for contradicting rows. */
export function useAttribution(
  jobId: string,
  body: { messages?: readonly ChatMessage[]; answer?: string },
): Followed {
  const [result, setTold] = useState<Attribution | null>(null);
  const [error, setError] = useState("");
  const [attempt, setAttempt] = useState(0);
  const path = `/jobs/${encodeURIComponent(jobId)}/attributions`;
  const open = result === null ? "" : `${path}/${encodeURIComponent(result.id)}`;
  const take = (call: Promise<{ attribution: Attribution }>): Promise<void> =>
    call.then(
      ({ attribution }) => {
        setError("");
        setTold(attribution);
      },
      (fault: unknown) => setError(errorText(fault)),
    );
  useEffect(() => {
    void take(api(path, { method: "POST", body }));
  }, [path, body.answer, attempt]);
  const waits = result !== null && pending(result);
  useEffect(() => {
    if (!waits || open === "") return;
    const polling = poll(
      () => take(api(open)),
      () => EVERY_MS,
    );
    return () => polling.stop();
  }, [waits, open]);
  return {
    result: result,
    failed: error || (result?.state === "failed" ? (result.error ?? "") : ""),
    waits: waits || (result === null && error === ""),
    ask: (below) => take(api(`${open}${below}`, { method: "POST", body: {} })),
    again: () => setAttempt(attempt + 1),
  };
}

export function progressOf(result: Attribution | null): string {
  if (result?.progress) {
    const { label, done, total, unit } = result.progress;
    return total ? `${label}: ${number(done)} of ${number(total)} ${unit}` : label;
  }
  return result?.state === "waiting" ? "Waiting: a job is training" : "Reading the rows";
}
