/** Merges a row with the next one, in one write that can be undone. */
import { api } from "../../../api/client";
import type { EditableRow } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { write } from "./history";
import { type Fields, merged } from "./record";

/** Returns a description of the change. Throws an Error with the reason if they can't be merged. */
export async function mergeWithNext(trainer: string, row: number): Promise<string> {
  const of = (wanted: number): Promise<EditableRow> =>
    api<EditableRow>(`/data/row?${new URLSearchParams({ trainer, row: String(wanted) })}`);
  const [one, next] = await Promise.all([of(row), of(row + 1)]);
  const problem = one.problem ?? next.problem;
  if (!one.entry || !next.entry) throw new Error(problem ?? "These rows can't be edited.");
  if (one.file !== next.file || one.source !== next.source)
    throw new Error("The next row is in another file, so the two can't be merged.");
  const both = one.record && next.record && merged(one.record as Fields, next.record as Fields, one.columns);
  if (!both)
    throw new Error(
      "Only two conversations with the same system prompt, or two texts, can be merged. Edit the rows by hand.",
    );
  const label = `Merged rows ${number(row)} and ${number(row + 1)}`;
  const { source } = one;
  const changes = [
    { source, entry: one.entry, record: both },
    { source, entry: next.entry, delete: true as const, into: one.entry },
  ];
  await write(trainer, changes, label, row);
  return label;
}
