/** The embeddings of a view's rows, requested and polled, and their descriptions in words. */
import { batch, type Signal, signal } from "@preact/signals";
import type { RowGroup, RowGroups, RowMap } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { Requested } from "../requested";
import type { OpenedView } from "../view";

/** A group with fewer than this fraction of an average group's rows counts as small. */
const FEW = 0.5;
/** Size of a group from which on the held-out rows should include some of it. */
const COVERABLE = 10;

export class Meaning extends Requested {
  readonly groups: Signal<RowGroups | null> = signal(null);
  readonly map: Signal<RowMap | null> = signal(null);

  constructor(opened: OpenedView) {
    super(opened, "embeddings");
  }

  protected override async look(): Promise<void> {
    const embeddings = await this.asked();
    if (embeddings.state !== "completed") {
      batch(() => {
        this.state.value = embeddings;
        this.groups.value = this.map.value = null;
      });
      return;
    }
    if (this.state.peek()?.state === "completed" && this.groups.peek()) return;
    const { groups } = await this.opened.get<{ groups: RowGroups }>("/groups");
    const { map } = await this.opened.get<{ map: RowMap }>("/map");
    batch(() => {
      this.state.value = embeddings;
      this.groups.value = groups;
      this.map.value = map;
    });
  }
}

/** `parcel, arrives, tracking`, or the group's number without such words. */
export const titleOf = ({ terms }: RowGroup, at: number): string =>
  terms.length > 0 ? terms.map((term) => clean(term, 40)).join(", ") : `Group ${number(at + 1)}`;

/** `42 rows · 3 held out` */
export function countWords({ rows, heldOut }: RowGroup, groups: RowGroups): string {
  const covered =
    groups.heldOut === 0
      ? []
      : [heldOut > 0 ? `${number(heldOut)} held out` : rows >= COVERABLE ? "not in the held-out rows" : ""];
  return [plural(rows, "row"), ...covered].filter(Boolean).join(" · ");
}

export const isSmall = ({ rows }: RowGroup, { groups, rows: all }: RowGroups): boolean =>
  rows < (FEW * all) / groups.length;

/** What was grouped, or why there are no groups. */
export function groupsWords({ rows, skipped, groups }: RowGroups): string {
  const skippedNote = skipped > 0 ? ` ${plural(skipped, "row")} could not be embedded.` : "";
  if (groups.length === 0)
    return `The ${plural(rows, "row")} form no clear groups: any cut through them would be arbitrary.${skippedNote}`;
  return `${plural(rows, "row")} in ${number(groups.length)} groups of similar meaning.${skippedNote}`;
}

/** The point that an arrow key leads to: the nearest one in that direction, within 45 degrees; -1 if none. */
export function neighbour({ x, y }: RowMap, from: number, key: string): number {
  const [dx, dy] = DIRECTIONS[key] ?? [0, 0];
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0; at < x.length; at += 1) {
    const [right, up] = [x[at]! - x[from]!, y[at]! - y[from]!];
    const along = right * dx + up * dy;
    const across = Math.abs(right * dy - up * dx);
    if (along <= 0 || across > along) continue;
    const distance = along * along + across * across;
    if (distance < least) [best, least] = [at, distance];
  }
  return best;
}

export const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};
