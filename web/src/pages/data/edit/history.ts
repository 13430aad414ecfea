/**
 * Changes of the project's rows, and of which are trained on: written at once, undone and redone for as long as this page
 * and Studio run.
 */
import { signal } from "@preact/signals";
import { ApiError, api } from "../../../api/client";
import type { DataChanged } from "../../../contract.gen";
import type { Fields } from "./record";

export interface Change {
  source: number;
  entry: string;
  record?: Fields;
  text?: string;
  delete?: true;
  insert?: true;
  /** The rest of a row that is split, as rows after it. */
  after?: readonly Fields[];
  /** The entry of the row that a deleted one is merged into. */
  into?: string;
}

/** Takes a change back; resolves to what makes it again. */
export type Undo = () => Promise<Undo>;

interface Step {
  /** What was done: `Edited row 3`. */
  label: string;
  undo: Undo;
  /** The row to show. */
  row: number;
}

/** Takes back what Studio wrote under this id. */
export const undoOf =
  (id: string): Undo =>
  async () =>
    undoOf((await api<DataChanged>("/data/undo", { method: "POST", body: { undo: id } })).undo);

const MOST = 200;

export const undoable = signal<readonly Step[]>([]);
export const redoable = signal<readonly Step[]>([]);

/** Writes changes; after that, redo is not possible. */
export async function write(
  trainer: string,
  changes: readonly Change[],
  label: string,
  row: number,
): Promise<void> {
  const { undo } = await api<DataChanged>("/data/rows", { method: "POST", body: { trainer, changes } });
  remember({ label, undo: undoOf(undo), row });
}

/** Adds a change that was written elsewhere. */
export function remember(step: Step): void {
  undoable.value = [...undoable.peek(), step].slice(-MOST);
  redoable.value = [];
}

/** Undoes the last change, or redoes the last undone one; returns it, or null if there is none. */
export async function step(back: boolean): Promise<Step | null> {
  const [from, to] = back ? [undoable, redoable] : [redoable, undoable];
  const last = from.peek().at(-1);
  if (!last) return null;
  try {
    const undo = await last.undo();
    from.value = from.peek().filter((entry) => entry !== last);
    to.value = [...to.peek(), { ...last, undo }];
    return last;
  } catch (error) {
    // It would fail later, too: the file's content has changed there.
    if (error instanceof ApiError && error.status === 409)
      from.value = from.peek().filter((entry) => entry !== last);
    throw error;
  }
}
