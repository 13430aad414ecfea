/** Which columns the table shows: the chosen ones, then those with something to show, as far as there is room. */
import { signal } from "@preact/signals";
import type { Job } from "../../contract.gen";
import { JOB_COLUMNS, readStored, writeStored } from "../../lib/storage";
import { isOver } from "../../store/jobs";
import type { MenuItem } from "../../ui/controls/menu";
import { smallLetters } from "../../ui/text-size";
import { BEST, COLUMNS, type Column } from "./columns";

/** In rem, as the stylesheets say: the page at its widest, its margins, the check box, the actions, and the least width of a name. */
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
  // Two lines have room for one more column: the one that the list is sorted by, or else the best loss.
  const [extra = BEST] = [ordered].filter(({ rank = 1 }) => rank > 1);
  return COLUMNS.filter(
    (column) =>
      (column.rank ?? 1) <= 1 || (column === extra && (extra === ordered || usefulFor(jobs).has(extra))),
  );
}

/** The names of chosen columns, and after a `-` those of hidden ones. */
const choices = signal(readStored(JOB_COLUMNS));

let latest: { jobs: readonly Job[]; useful: ReadonlySet<Column> } | undefined;

/** The columns in which these jobs have something to show, found once for each list of them. */
function usefulFor(jobs: readonly Job[]): ReadonlySet<Column> {
  if (latest?.jobs !== jobs)
    latest = { jobs, useful: new Set(COLUMNS.filter(({ useful }) => useful?.(jobs) ?? true)) };
  return latest.useful;
}

/** The columns that fit into `room` rem, in the table's order, always with the one that jobs are sorted by. */
function columnsIn(room: number, jobs: readonly Job[], ordered: Column): Column[] {
  const chosen = (column: Column): boolean =>
    column.rank === undefined || column === ordered || choices.value.includes(column.name);
  const priority = (column: Column): number => (chosen(column) ? 0 : column.rank!);
  const candidates = COLUMNS.filter(
    (column) => chosen(column) || (!choices.value.includes(`-${column.name}`) && usefulFor(jobs).has(column)),
  ).sort((one, other) => priority(one) - priority(other));
  const visible = new Set<Column>();
  let remaining = room;
  for (const column of candidates) {
    const { width = NAME } = column;
    if (width > remaining && !chosen(column)) continue;
    visible.add(column);
    remaining -= width;
  }
  return COLUMNS.filter((column) => visible.has(column));
}

/** The columns that can be chosen, as a menu; `visible` are those in the table. */
export const columnItems = (visible: readonly Column[]): MenuItem[] =>
  COLUMNS.filter(({ rank }) => rank !== undefined).map((column) => {
    const { name, header } = column;
    const on = visible.includes(column);
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
