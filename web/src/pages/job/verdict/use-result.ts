/** The stored rows of a job's evaluation. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { EvaluationResult } from "../../../contract.gen";

interface Asked {
  result: EvaluationResult | null;
  error: string;
  retry: () => void;
}

/** Requests them again when `version` changes. */
export function useResult(id: string, version: string): Asked {
  const [result, setResult] = useState<EvaluationResult | null>(null);
  const [error, setError] = useState("");
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setError("");
    api<EvaluationResult>(`/jobs/${encodeURIComponent(id)}/evaluation`, { signal: stop.signal })
      .then(setResult)
      .catch((fault: unknown) => {
        if (!stop.signal.aborted) setError(errorText(fault));
      });
    return () => stop.abort();
  }, [id, version, tries]);
  return { result, error, retry: () => setTries(tries + 1) };
}
