/** One attribution of the backend, requested and followed until nothing more will change. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../api/client";
import type { Attribution, ChatMessage } from "../../contract.gen";
import { number } from "../../lib/format";
import { poll } from "../../store/poll";
import { pending } from "./words";

const EVERY_MS = 1000;

interface Followed {
  told: Attribution | null;
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
  const [told, setTold] = useState<Attribution | null>(null);
  const [error, setError] = useState("");
  const [attempt, setAttempt] = useState(0);
  const path = `/jobs/${encodeURIComponent(jobId)}/attributions`;
  const open = told === null ? "" : `${path}/${encodeURIComponent(told.id)}`;
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
  const waits = told !== null && pending(told);
  useEffect(() => {
    if (!waits || open === "") return;
    const polling = poll(
      () => take(api(open)),
      () => EVERY_MS,
    );
    return () => polling.stop();
  }, [waits, open]);
  return {
    told,
    failed: error || (told?.state === "failed" ? (told.error ?? "") : ""),
    waits: waits || (told === null && error === ""),
    ask: (below) => take(api(`${open}${below}`, { method: "POST", body: {} })),
    again: () => setAttempt(attempt + 1),
  };
}

export function progressOf(told: Attribution | null): string {
  if (told?.progress) {
    const { label, done, total, unit } = told.progress;
    return total ? `${label}: ${number(done)} of ${number(total)} ${unit}` : label;
  }
  return told?.state === "waiting" ? "Waiting: a job is training" : "Reading the rows";
}
