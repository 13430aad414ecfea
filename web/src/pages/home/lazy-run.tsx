/** Placeholder for the last run; its code is loaded with the first one. */
import type { TrainingRun } from "../../contract.gen";
import { late } from "../../lib/late";
import { runs } from "../../store/runs";
import { Skeleton } from "../../ui/skeleton";
import { starting } from "./run-trainer";

const useRun = late(() => import("./run"));

interface Props {
  /** The selected trainer's running command. */
  live?: TrainingRun | undefined;
  /** The project's own command, whose author wants to see its output. */
  typescript?: boolean;
}

export function LazyRun(props: Props) {
  // Already on press: the pressed button disappears, and the focus moves to what replaces it.
  const code = useRun(starting.value || (runs.value?.length ?? 0) > 0);
  if (code) return <code.RunPanel {...props} />;
  return props.live ? <Skeleton lines={4} height={22} /> : null;
}
