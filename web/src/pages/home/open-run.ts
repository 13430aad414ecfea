/** Which run's output is open below the trainer: the one just started or selected, else the newest. */
import { computed, signal } from "@preact/signals";
import { runs } from "../../store/runs";

/** A run's id; null for the newest, empty for none. */
export const shownRun = signal<string | null>(null);

/** The run started by this tab whose job is not watched yet. */
export const startedRun = signal<string | null>(null);

/** The run started by Home's button whose job is not known yet. */
export const pressedRun = signal<string | null>(null);

/** The job's id found in the open output, which precedes the next list of runs. */
export const foundJob = signal<string | null>(null);

export const openRun = computed(() => {
  const list = runs.value ?? [];
  const wanted = shownRun.value;
  if (wanted === "") return undefined;
  return (wanted === null ? undefined : list.find((run) => run.id === wanted)) ?? list[0];
});
