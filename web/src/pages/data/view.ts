/** One opened view of the backend: its state, polled, and its rows, requested as they come into view. */
import { batch, type Signal, signal } from "@preact/signals";
import { ApiError, api, errorText, isAbort } from "../../api/client";
import type {
  DatasetFound,
  DatasetLengths,
  DatasetRow,
  DatasetTokens,
  DatasetView,
  JobConfig,
} from "../../contract.gen";
import { type Poll, poll } from "../../store/poll";

const BUSY_MS = 500;
/** How long after opening, and how often, the first rows are requested. */
const SOON_MS = 3000;
const OFTEN_MS = 80;
const REST_MS = 20_000;
/** Rows per request, and the number of requests whose rows are kept. */
const CHUNK = 50;
const MAX_CHUNKS = 40;
const NOT_THERE = 404;
/** A view that repeatedly ends is not opened again. */
const AGAIN_MS = 5000;

export interface Search {
  want: "longest" | "longer" | "finding" | "text";
  than?: number;
  code?: string;
  text?: string;
  /** With these, only rows that fit are found. */
  role?: string;
  language?: string;
  least?: number;
  most?: number;
  source?: number;
  /** The index of a group of similar rows. */
  group?: number;
}

export class OpenedView {
  readonly view: Signal<DatasetView | null> = signal(null);
  readonly error: Signal<string | null> = signal(null);
  readonly lengths: Signal<DatasetLengths | null> = signal(null);
  /** Incremented when rows have arrived. */
  readonly version: Signal<number> = signal(0);
  private readonly chunks = new Map<number, readonly DatasetRow[] | null>();
  private readonly poll: Poll;
  private opened = 0;
  /** The number of rows that had been read when the lengths were requested. */
  private lengthsAt = -1;

  /** It must be opened again: the config or a file has changed. */
  private changed = false;
  /** When the view of the current files was requested; the old rows stay on screen for a moment. */
  private refreshed = Number.NEGATIVE_INFINITY;

  constructor(private config: JobConfig) {
    const busy = (): boolean => {
      const { state } = this.view.peek() ?? {};
      return this.error.peek() === null && state !== "ready" && state !== "failed";
    };
    this.poll = poll(
      () => this.look(),
      () => {
        if (this.changed && this.refreshed > 0) return OFTEN_MS;
        if (!busy()) return REST_MS;
        const soon = this.count === 0 && performance.now() - this.opened < SOON_MS;
        return soon ? OFTEN_MS : BUSY_MS;
      },
    );
  }

  close(): void {
    this.poll.stop();
  }

  /** Shows the rows of another config; the view stays if the backend shows the same for it. */
  use(config: JobConfig): void {
    if (JSON.stringify(config) === JSON.stringify(this.config)) return;
    this.config = config;
    this.changed = true;
    void this.poll.now();
  }

  /** Opens it again, for example after an error. */
  async again(): Promise<void> {
    this.forget();
    this.opened = 0;
    await this.poll.now();
  }

  /** Shows the current files; the old rows stay until those have loaded. */
  async refresh(): Promise<void> {
    this.changed = true;
    this.refreshed = performance.now();
    await this.poll.now();
  }

  /** The number of rows that can be shown. */
  get count(): number {
    return this.view.value?.indexed ?? 0;
  }

  /** A row's summary, or undefined while it is loading. */
  row(number: number): DatasetRow | undefined {
    void this.version.value;
    const at = Math.floor((number - 1) / CHUNK);
    const known = this.chunks.get(at);
    if (known === undefined) void this.fetch(at);
    return known?.[number - 1 - at * CHUNK];
  }

  /** Another call on this view. */
  get<T>(below: string, abort?: AbortSignal): Promise<T> {
    return api<T>(this.path(below), abort ? { signal: abort } : {});
  }

  post<T>(below: string): Promise<T> {
    return api<T>(this.path(below), { method: "POST", body: {} });
  }

  async remove(below: string): Promise<void> {
    await api(this.path(below), { method: "DELETE" });
  }

  /** A row token by token. */
  async tokens(number: number, abort: AbortSignal): Promise<DatasetTokens> {
    return (await api<{ row: DatasetTokens }>(this.path(`/rows/${number}`), { signal: abort })).row;
  }

  /** A row that is not in the file, token by token. */
  async render(source: number, record: object, abort: AbortSignal): Promise<DatasetTokens> {
    const body = { source, record };
    const options = { method: "POST" as const, body, signal: abort };
    return (await api<{ row: DatasetTokens }>(this.path("/render"), options)).row;
  }

  /** The next match after `after`, then from the first row on; null if there is none. */
  async find(search: Search, after: number, abort: AbortSignal): Promise<number | null> {
    const { row } = await this.searched({ ...search, after }, abort);
    return row !== null || after === 0 ? row : (await this.searched({ ...search, after: 0 }, abort)).row;
  }

  /** Up to `count` matches after `after`, as far as one slice of the search comes. */
  async matches(search: Search, after: number, count: number, abort: AbortSignal) {
    const { rows = [], reached } = await this.searched({ ...search, after, count }, abort);
    return { rows, reached };
  }

  private async searched(search: object, abort: AbortSignal): Promise<DatasetFound> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(search)) query.set(name, String(value));
    return (await this.get<{ found: DatasetFound }>(`/find?${query}`, abort)).found;
  }

  private path(below = ""): string {
    return `/datasets/${this.view.peek()?.id ?? ""}${below}`;
  }

  private forget(): void {
    this.chunks.clear();
    this.lengthsAt = -1;
    batch(() => {
      this.view.value = this.lengths.value = this.error.value = null;
    });
  }

  private async look(): Promise<void> {
    let before = this.view.peek();
    const opens = before === null || this.changed;
    const { config } = this;
    try {
      const { dataset } = opens
        ? await api<{ dataset: DatasetView }>("/datasets", { method: "POST", body: { config } })
        : await api<{ dataset: DatasetView }>(this.path());
      if (opens) this.changed = config !== this.config;
      if (before && dataset.id !== before.id) {
        const fresh = performance.now() - this.refreshed < SOON_MS;
        if (fresh && (dataset.state === "opening" || (dataset.indexed === 0 && dataset.rows !== 0))) {
          this.changed = true;
          return;
        }
        if (fresh) {
          this.chunks.clear();
          this.lengthsAt = -1;
        } else this.forget();
        before = null;
      }
      if (dataset.state === "changed") {
        void this.refresh();
        return;
      }
      if (opens) this.refreshed = Number.NEGATIVE_INFINITY;
      // Rows from before the tokenizer was ready have no tokens, and the last chunk may have been incomplete.
      if (before?.state === "opening" && dataset.state !== "opening") this.chunks.clear();
      if (before && dataset.indexed > before.indexed) this.chunks.delete(Math.floor(before.indexed / CHUNK));
      batch(() => {
        this.view.value = dataset;
        this.error.value = null;
        this.version.value += 1;
      });
      if (dataset.maxLength === null || this.lengthsAt === dataset.read) return;
      this.lengths.value = (await api<{ lengths: DatasetLengths }>(this.path("/lengths"))).lengths;
      this.lengthsAt = dataset.read;
    } catch (error) {
      this.failed(error);
    }
  }

  private failed(error: unknown): void {
    if (error instanceof ApiError && error.status === 0) return;
    if (error instanceof ApiError && error.status === NOT_THERE && this.view.peek()) {
      // It was not used for a while, or the backend was restarted.
      const now = Date.now();
      if (now - this.opened > AGAIN_MS) {
        this.opened = now;
        this.forget();
        void this.poll.now();
        return;
      }
    }
    this.error.value = errorText(error);
  }

  private async fetch(at: number): Promise<void> {
    if (!this.view.peek()) return;
    this.chunks.set(at, null);
    for (const oldest of this.chunks.keys()) {
      if (this.chunks.size <= MAX_CHUNKS) break;
      this.chunks.delete(oldest);
    }
    try {
      const path = this.path(`/rows?from=${at * CHUNK + 1}&count=${CHUNK}`);
      const { rows } = await api<{ rows: DatasetRow[] }>(path);
      if (this.chunks.get(at) !== null) return;
      this.chunks.set(at, rows);
      this.version.value += 1;
    } catch (error) {
      this.chunks.delete(at);
      if (!isAbort(error)) this.failed(error);
    }
  }
}
