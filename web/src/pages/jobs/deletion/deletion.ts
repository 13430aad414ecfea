/**
 * Jobs that are deleted in ten seconds, unless that is undone. Until then the backend is not called: a tab that is
 * closed meanwhile, or loses the daemon, has deleted nothing.
 */
import { signal } from "@preact/signals";
import { errorText } from "../../../api/client";
import type { Job } from "../../../contract.gen";
import { plural } from "../../../lib/format";
import { displayName } from "../../../lib/text";
import { deleteJob, leaving, refreshJobs } from "../../../store/jobs";

const WAIT_MS = 10_000;

interface Deletion {
  /** `“support-bot”`, or `3 jobs`. */
  names: string;
  list: readonly Job[];
}

/** What will be deleted in a moment, and can be undone. */
export const deletion = signal<Deletion | null>(null);
/** Why the last deletion failed, until dismissed. */
export const deletionFault = signal<string | null>(null);

let timer: ReturnType<typeof setTimeout> | undefined;

export const namesOf = (list: readonly Job[]): string =>
  list.length === 1 ? `“${displayName(list[0]?.name)}”` : plural(list.length, "job");

/** Deletes jobs in ten seconds; those already waiting are deleted immediately. */
export function deleteSoon(list: readonly Job[]): void {
  carryOut();
  deletionFault.value = null;
  leaving.value = new Set([...leaving.peek(), ...list.map(({ id }) => id)]);
  deletion.value = { names: namesOf(list), list };
  timer = setTimeout(carryOut, WAIT_MS);
}

export function undoDeletion(): void {
  clearTimeout(timer);
  const list = deletion.peek()?.list ?? [];
  deletion.value = null;
  showAgain(list);
}

function carryOut(): void {
  clearTimeout(timer);
  const list = deletion.peek()?.list;
  deletion.value = null;
  if (list) void deleteAll(list);
}

async function deleteAll(list: readonly Job[]): Promise<void> {
  const faults: string[] = [];
  for (const { id, name } of list) {
    try {
      await deleteJob(id);
    } catch (error) {
      faults.push(`${displayName(name)}: ${errorText(error)}`);
    }
  }
  if (faults.length > 0) deletionFault.value = faults.slice(0, 5).join("\n");
  await refreshJobs();
  showAgain(list);
}

function showAgain(list: readonly Job[]): void {
  const gone = new Set(list.map(({ id }) => id));
  leaving.value = new Set([...leaving.peek()].filter((id) => !gone.has(id)));
}
