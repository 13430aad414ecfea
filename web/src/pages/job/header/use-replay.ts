/** A run again with replay, against forgetting. */
import type { Job } from "../../../contract.gen";
import { late } from "../../../lib/late";
import { features } from "../../../store/features";
import { say } from "../../../ui/controls/live";
import { useFill } from "./run-again";

const REPLAY = 0.2;

const useCheck = late(() => import("../../home/form/check"));

/** `open` fills the form; null if the job had replay already, or its training method does not have it. */
export function useReplay(job: Job, wanted: boolean): { open: (() => void) | null; error: string | null } {
  const { fill, error } = useFill(job);
  const check = useCheck(wanted && !job.config.replay && features.value.has("replay"));
  if (!check || !("replay" in check.ofMethod({ ...job.config, replay: REPLAY })))
    return { open: null, error };
  const done = (): void => say(`Replay is set to ${REPLAY} for the next run`);
  return { open: () => fill({ replay: REPLAY }, undefined, done), error };
}
