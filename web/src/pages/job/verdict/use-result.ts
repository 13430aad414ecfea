/** The stored rows of a job's evaluation. */
import { api, useAnswer } from "../../../api/client";
import type { EvaluationResult } from "../../../contract.gen";

/** Requests them again when `version` changes. */
export const useResult = (id: string, version: string) =>
  useAnswer(
    (signal) => api<EvaluationResult>(`/jobs/${encodeURIComponent(id)}/evaluation`, { signal }),
    [id, version],
  );
