/** Which columns the table shows: those that a person chose, then what the jobs have, as far as there is room. */
import { signal } from "@preact/signals";
import type { Job } from "../../contract.gen";
import { JOB_COLUMNS, readStored, writeStored } from "../../lib/storage";
import { isOver } from "../../store/jobs";
import type { MenuItem } from "../../ui/controls/menu";
import { smallLetters } from "../../ui/text-size";
import { BEST, COLUMNS, type Column } from "./columns";

/** In rem, as the stylesheets say: the page at its widest, its margins, the check box and the actions; what a name needs. */
const [PAGE, MARGINS, BOX, ACTIONS, NAME] = [77.5, 3, 2.25, 5.75, 14];
const REM = 16;

const windowWidth = signal(innerWidth);
addEventListener("resize", () => {
  windowWidth.value = innerWidth;
});

/** Whether a row is two lines instead of cells under headers. */
export const narrow = signal(false);
const media = matchMedia("(width < 45em)");
const look = (): void => {
  narrow.value = media.matches;
};
look();
media.addEventListener("change", look);

/** The columns for these jobs in this window. */
export function columnsFor(jobs: readonly Job[], ordered: Column): Column[] {
  const width = Math.min(PAGE, windowWidth.value / (REM * smallLetters.value));
  const actions = jobs.every(isOver) ? 0 : ACTIONS;
  if (!narrow.value) return columnsIn(width - MARGINS - BOX - actions, jobs, ordered);
  // Two lines have room for one more than these: what the list is ordered by, or else the best loss.
  const [extra = BEST] = [ordered].filter(({ rank = 1 }) => rank > 1);
  return COLUMNS.filter(
    (column) => (column.rank ?? 1) <= 1 || (column === extra && (extra === ordered || extra.useful!(jobs))),
  );
}

/** The names of chosen columns, and after a `-` those that are not wanted. */
const choices = signal(readStored(JOB_COLUMNS));

/** The columns of a table with so many rem for them, in the table's order. The one that jobs are `ordered` by is there. */
export function columnsIn(room: number, jobs: readonly Job[], ordered: Column): Column[] {
  const chosen = (column: Column): boolean =>
    column.rank === undefined || column === ordered || choices.value.includes(column.name);
  const priority = (column: Column): number => (chosen(column) ? 0 : column.rank!);
  const candidates = COLUMNS.filter(
    (column) =>
      chosen(column) || (!choices.value.includes(`-${column.name}`) && (column.useful?.(jobs) ?? true)),
  ).sort((one, other) => priority(one) - priority(other));
  const kept = new Set<Column>();
  let left = room;
  for (const column of candidates) {
    const { width = NAME } = column;
    if (width > left && !chosen(column)) continue;
    kept.add(column);
    left -= width;
  }
  return COLUMNS.filter((column) => kept.has(column));
}

/** The columns that can be chosen, as a menu; `shown` are those in the table. */
export const columnItems = (shown: readonly Column[]): MenuItem[] =>
  COLUMNS.filter(({ rank }) => rank !== undefined).map((column) => {
    const { name, header } = column;
    const on = shown.includes(column);
    return {
      label: header,
      ticked: on,
      run: () => {
        const others = choices.peek().filter((choice) => choice.replace("-", "") !== name);
        choices.value = [...others, on ? `-${name}` : name];
        writeStored(JOB_COLUMNS, choices.peek());
      },
    };
  });
