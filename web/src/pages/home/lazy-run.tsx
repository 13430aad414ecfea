/** Where the last run stands; its code comes with the first one. */
import type { TrainingRun } from "../../contract.gen";
import { late } from "../../lib/late";
import { runs } from "../../store/runs";
import { Skeleton } from "../../ui/skeleton";
import { starting } from "./run-trainer";

const useRun = late(() => import("./run"));

interface Props {
  /** The chosen trainer's command that runs now. */
  live?: TrainingRun | undefined;
  /** A command of the project's own, whose author wants to see what it prints. */
  typescript?: boolean;
}

export function LazyRun(props: Props) {
  // At a press already: what is pressed goes, and the focus with it to what comes.
  const code = useRun(starting.value || (runs.value?.length ?? 0) > 0);
  if (code) return <code.RunPanel {...props} />;
  return props.live ? <Skeleton lines={4} height={22} /> : null;
}
