/** The order of the jobs table: stored in the address, set by clicking a header, applied to the list. */
import type { Job } from "../../contract.gen";
import { COLUMNS, type Column, CREATED } from "./columns";

export interface Order {
  column: Column;
  descending: boolean;
}

export const NEWEST_FIRST: Order = { column: CREATED, descending: true };

/** `-created` is the newest first; anything but a column is the default. */
export function parseOrder(text: string | null): Order {
  const descending = text?.startsWith("-") ?? false;
  const column = COLUMNS.find(({ name }) => name === (text ?? "").replace(/^-/, ""));
  return column ? { column, descending } : NEWEST_FIRST;
}

export function orderText({ column, descending }: Order): string | null {
  return column === CREATED && descending ? null : `${descending ? "-" : ""}${column.name}`;
}

/** A first click sorts texts ascending, and times and numbers from the newest or, for losses, the best. */
export function nextOrder(order: Order, column: Column): Order {
  if (order.column === column) return { column, descending: !order.descending };
  return { column, descending: column.sort.descendingFirst ?? false };
}

let names: Intl.Collator | undefined;

/** Created by the first sort by text: it takes milliseconds that an opening page cannot spare. */
function compareTexts(a: string, b: string): number {
  names ??= new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  return names.compare(a, b);
}

/** `jobs` come newest first. Those without a value are last in either direction. */
export function sorted(jobs: readonly Job[], { column, descending }: Order, now: number): readonly Job[] {
  const { key } = column.sort;
  if (!key) return descending ? jobs : jobs.toReversed();
  const sign = descending ? -1 : 1;
  const keyed = jobs.map((job) => ({ job, key: key(job, now) }));
  keyed.sort(({ key: a }, { key: b }) => {
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return (
      sign * (typeof a === "number" && typeof b === "number" ? a - b : compareTexts(String(a), String(b)))
    );
  });
  return keyed.map(({ job }) => job);
}
