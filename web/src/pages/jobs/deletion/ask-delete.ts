/** Asks before jobs are deleted, with the space that this frees. */
import { api } from "../../../api/client";
import type { Disk, Job } from "../../../contract.gen";
import { bytes } from "../../../lib/format";
import { announce } from "../../../ui/controls/live";
import { confirm } from "../../../ui/dialog";
import { floating } from "../../../ui/floating";
import { deleteSoon, namesOf } from "./deletion";
import { Undo } from "./undo";

/** True if confirmed: they are deleted in a moment. */
export async function askToDelete(list: readonly Job[]): Promise<boolean> {
  const size = await sizeOf(list);
  const names = namesOf(list);
  const isSingle = list.length === 1;
  const sizeText = size === null ? "" : ` ${isSingle ? "It takes" : "They take"} ${bytes(size)} on the disk.`;
  const text = `${isSingle ? "Its" : "Their"} adapter${isSingle ? "" : "s"}, checkpoints, events and notes are deleted.${sizeText} For ten seconds you can take it back.`;
  const action = isSingle ? "Delete job" : `Delete ${names}`;
  if (!(await confirm({ title: `Delete ${names}?`, text, action, danger: true }))) return false;
  floating.value = Undo;
  deleteSoon(list);
  announce(`${names} will be deleted in ten seconds. Press z to undo`);
  return true;
}

/** Null if unknown, which does not prevent the deletion. */
async function sizeOf(list: readonly Job[]): Promise<number | null> {
  try {
    if (list.length === 1)
      return (await api<{ bytes: number }>(`/jobs/${encodeURIComponent(list[0]!.id)}`)).bytes;
    const { disk } = await api<{ disk: Disk }>("/disk");
    const ids = new Set(list.map(({ id }) => id));
    return disk.jobs.reduce((sum, job) => (ids.has(job.id) ? sum + job.bytes : sum), 0);
  } catch {
    return null;
  }
}
