/** The latest run; its code is loaded with the first one. */
import type { TrainingRun } from "../../contract.gen";
import { late } from "../../lib/late";
import { runs } from "../../store/runs";
import { Skeleton } from "../../ui/skeleton";
import { starting } from "./run-trainer";

const useRun = late(() => import("./run"));

interface Props {
  /** The selected trainer's running command. */
  live?: TrainingRun | undefined;
  /** A command of the project's own code, whose output its author wants to see. */
  typescript?: boolean;
}

export function LazyRun(props: Props) {
  // When the button is pressed, which disappears: the focus then moves to the panel.
  const code = useRun(starting.value || (runs.value?.length ?? 0) > 0);
  if (code) return <code.RunPanel {...props} />;
  return props.live ? <Skeleton lines={4} height={22} /> : null;
}
