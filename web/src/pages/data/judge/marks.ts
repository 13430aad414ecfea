/** The verdicts of the rows in the list, requested as they come into view. */
import { type Signal, signal } from "@preact/signals";
import { api } from "../../../api/client";
import type { ReviewMark } from "../../../contract.gen";

const CHUNK = 100;

export class Marks {
  /** Incremented when marks have arrived. */
  readonly version: Signal<number> = signal(0);
  private chunks = new Map<number, ReadonlyMap<number, ReviewMark> | null>();

  constructor(private readonly trainer: string) {}

  /** A row's mark, or undefined without one and while it is loading. */
  of(row: number): ReviewMark | undefined {
    void this.version.value;
    const at = Math.floor((row - 1) / CHUNK);
    const known = this.chunks.get(at);
    if (known === undefined) void this.fetch(at);
    return known?.get(row);
  }

  /** Requests everything again; what is shown stays until it arrives. */
  refresh(): void {
    const recent = [...this.chunks.keys()].slice(-3);
    for (const at of this.chunks.keys()) if (!recent.includes(at)) this.chunks.delete(at);
    for (const at of recent) void this.fetch(at);
  }

  private async fetch(at: number): Promise<void> {
    if (!this.chunks.has(at)) this.chunks.set(at, null);
    const query = new URLSearchParams({
      trainer: this.trainer,
      from: String(at * CHUNK + 1),
      count: String(CHUNK),
    });
    try {
      const { rows } = await api<{ rows: ReviewMark[] }>(`/data/reviews/rows?${query}`);
      this.chunks.set(at, new Map(rows.map((mark) => [mark.row, mark])));
      this.version.value += 1;
    } catch {
      // The panel reports what is wrong with the file.
    }
  }
}
