/** The embeddings of a view's rows, requested and polled, and their descriptions in words. */
import { batch, type Signal, signal } from "@preact/signals";
import { errorText } from "../../../api/client";
import type { RowEmbeddings, RowGroup, RowGroups, RowMap } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { type Poll, poll } from "../../../store/poll";
import type { OpenedView } from "../view";

const BUSY_MS = 500;
const REST_MS = 10_000;
/** A group with fewer than this fraction of an average group's rows counts as small. */
const FEW = 0.5;
/** Size of a group from which on the held-out rows should include some of it. */
const COVERABLE = 10;

export class Meaning {
  readonly state: Signal<RowEmbeddings | null> = signal(null);
  readonly groups: Signal<RowGroups | null> = signal(null);
  readonly map: Signal<RowMap | null> = signal(null);
  readonly error: Signal<string | null> = signal(null);
  private readonly poll: Poll;

  constructor(private readonly opened: OpenedView) {
    this.poll = poll(
      () => this.look(),
      () => (isBusy(this.state.peek()) ? BUSY_MS : REST_MS),
    );
  }

  close(): void {
    this.poll.stop();
  }

  /** Requests the embeddings. */
  async start(): Promise<void> {
    await this.attempt(async () => {
      this.state.value = (await this.opened.post<{ embeddings: RowEmbeddings }>("/embeddings")).embeddings;
    });
    await this.poll.now();
  }

  async cancel(): Promise<void> {
    await this.attempt(() => this.opened.remove("/embeddings"));
    await this.poll.now();
  }

  private async look(): Promise<void> {
    await this.attempt(async () => {
      const { embeddings } = await this.opened.get<{ embeddings: RowEmbeddings }>("/embeddings");
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
    });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.error.value = null;
    } catch (failure) {
      this.error.value = errorText(failure);
    }
  }
}

export const isBusy = (state: RowEmbeddings | null): boolean =>
  state?.state === "waiting" || state?.state === "running";

/** `Embedding rows 40 %` */
export function progressWords({ state, progress }: RowEmbeddings): string {
  if (state === "waiting") return "Waiting: rows are embedded when no job is training";
  if (!progress) return "Starting";
  const share = progress.total ? ` ${Math.floor((100 * progress.done) / progress.total)} %` : "";
  return `${clean(progress.label, 200)}${share}`;
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
  const left = skipped > 0 ? ` ${plural(skipped, "row")} could not be embedded.` : "";
  if (groups.length === 0)
    return `The ${plural(rows, "row")} form no clear groups: any cut through them would be arbitrary.${left}`;
  return `${plural(rows, "row")} in ${number(groups.length)} groups of similar meaning.${left}`;
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
