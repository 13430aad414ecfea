/** Which run's output is open below the trainer: the one just started or picked, else the newest. */
import { computed, signal } from "@preact/signals";
import { runs } from "../../store/runs";

/** A run's id; null for the newest, empty for none. */
export const shownRun = signal<string | null>(null);

/** The run that this tab has started and whose job it has not begun to watch yet. */
export const startedRun = signal<string | null>(null);

/** The run that Home's own button has started and whose job is not known yet. */
export const pressedRun = signal<string | null>(null);

/** The job's id as found in the open output, which is sooner than the next list of runs. */
export const foundJob = signal<string | null>(null);

export const openRun = computed(() => {
  const list = runs.value ?? [];
  const wanted = shownRun.value;
  if (wanted === "") return undefined;
  return (wanted === null ? undefined : list.find((run) => run.id === wanted)) ?? list[0];
});
