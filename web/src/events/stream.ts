/**
 * One job's events: the history in one response, then live frames from exactly there on, across broken connections,
 * restarts of the daemon and a lack of connection slots. A resumed stream requests exactly the byte after the last
 * complete frame, so that no event is lost or doubled: Studio drops repeats, once for all tabs. If Studio no longer has
 * that position, the page starts over with an empty run.
 */
import { signal } from "@preact/signals";
import { ApiError, CURSOR_HEADER, errorText, FROM_HEADER, isAbort, request } from "../api/client";
import { pause, tabVisible, withStream } from "../api/stream-slots";
import { STREAM_CONNECTED, STREAM_RECONNECTING } from "../contract.gen";
import { Run } from "./run";
import { SseParser } from "./sse";
import { inOneTab, isSettled, retryDelay, whenHidden } from "./waits";

/** `reconnecting`: the daemon, or its connection to the backend, is being retried. */
type StreamState = "loading" | "live" | "reconnecting" | "over" | "missing";

/** The pause between two reads: a hundred events a second are read in two or three batches. */
const READ_INTERVAL_MS = 400;
/** From this many bytes on more is waiting: live events during a pause are fewer. */
const FULL_READ = 1 << 14;
const UPDATE_INTERVAL_MS = 400;
const HISTORY_UPDATE_INTERVAL_MS = 1500;
const SHORT_READ_IDLE_MS = 150;
const SHORT_READ_MS = 300;
const SHORT_READ_EVERY_MS = 1000;

class HistoryChanged extends Error {}
class JobMissing extends Error {}

export class JobStream {
  readonly run = new Run();
  /** Incremented when the run has changed, at most every 400 ms. */
  readonly version = signal(0);
  readonly state = signal<StreamState>("loading");
  /** Why the state is `reconnecting` or `missing`, if a text says so. */
  readonly trouble = signal<string | null>(null);
  #parser = new SseParser({
    event: (name, data) => this.run.add(name, data),
    comment: (text) => this.#comment(text),
  });
  #stop = new AbortController();
  /** Where the last stream began; the parser knows its progress from there. */
  #cursor: string | null = null;
  #painted = 0;
  #failures = 0;
  /** Whether the history is requested although it had an end. */
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly id: string) {
    void this.#main(this.#stop.signal);
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  /** Continues after the end; false if it has not come. `withdrawn`: the job is known to continue after it. */
  reopen(withdrawn: boolean): boolean {
    if (this.state.peek() !== "over") return false;
    if (withdrawn) this.run.withdrawEnd();
    this.#cursor = null;
    this.#again = true;
    this.state.value = "loading";
    void this.#main(this.#stop.signal);
    return true;
  }

  #comment(text: string): void {
    if (text === STREAM_RECONNECTING) this.state.value = "reconnecting";
    else if (text === STREAM_CONNECTED) this.state.value = "live";
  }

  /** The cursor after the last complete frame. */
  #place(cursor: string): string {
    const digits = cursor.lastIndexOf(".") + 1;
    return cursor.slice(0, digits) + (Number(cursor.slice(digits)) + this.#parser.consumed);
  }

  async #main(signal: AbortSignal): Promise<void> {
    while (true) {
      try {
        if (this.#cursor === null) await this.#history(signal);
        if (this.run.over) break;
        await tabVisible(signal);
        const followed = await withStream(signal, (inner) => this.#follow(inner, false), { wait: false });
        if (followed === null) {
          await inOneTab(signal, () => this.#follow(signal, true));
          if (!this.run.over) await pause(SHORT_READ_EVERY_MS, signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof HistoryChanged) this.#cursor = null;
        const missing = error instanceof JobMissing || (error instanceof ApiError && error.status === 404);
        this.state.value = missing ? "missing" : "reconnecting";
        this.trouble.value = error instanceof ApiError ? errorText(error) : null;
        await pause(retryDelay(this.#failures++), signal).catch(() => undefined);
        if (signal.aborted) return;
      }
    }
    this.state.value = "over";
    this.trouble.value = null;
    this.#paint();
  }

  async #history(signal: AbortSignal): Promise<void> {
    const query = this.#again ? "?again=1" : "";
    const response = await request(`/jobs/${encodeURIComponent(this.id)}/history${query}`, { signal });
    if (response.status === 204) throw new JobMissing();
    this.#painted = performance.now();
    this.#again = false;
    this.run.clear();
    await this.#read(response, 0);
    this.#parser.reset();
    this.#cursor = response.headers.get(CURSOR_HEADER) ?? "";
    this.#live();
    this.#paint();
  }

  /** Reads from the cursor on until the stream ends, or for a short time only (`short`). */
  async #follow(signal: AbortSignal, short: boolean): Promise<void> {
    const cut = new AbortController();
    const away = whenHidden(() => cut.abort());
    const inner = AbortSignal.any([signal, cut.signal]);
    try {
      const cursor = this.#place(this.#cursor ?? "");
      const query = new URLSearchParams({ after: cursor });
      const response = await request(`/jobs/${encodeURIComponent(this.id)}/events?${query}`, {
        signal: inner,
      });
      if (response.headers.get(FROM_HEADER) !== cursor) throw new HistoryChanged();
      this.#cursor = cursor;
      this.#live();
      await this.#read(response, READ_INTERVAL_MS, short ? () => cut.abort() : undefined);
      if (!this.run.over && !cut.signal.aborted) throw new Error("cut");
    } catch (error) {
      if (!cut.signal.aborted || !isAbort(error)) throw error;
    } finally {
      away();
      cut.abort();
    }
  }

  /** With `leave`, reads only briefly: until a moment of silence, or shortly after the first event. */
  async #read(response: Response, apart: number, leave?: () => void): Promise<void> {
    const reader = response.body!.getReader();
    this.#parser.reset();
    let news = Infinity;
    let pending = reader.read();
    while (true) {
      const timer = leave && setTimeout(leave, SHORT_READ_IDLE_MS);
      const { done, value } = await pending;
      clearTimeout(timer);
      if (done) return;
      const before = this.run.records.length;
      const rows = this.run.rows.length;
      const full = value.length >= FULL_READ;
      this.#parser.push(value);
      // A history is 30 MB of reads, which would wait for the garbage collector; not every browser supports this.
      value.buffer.transfer?.(0);
      if (apart > 0 && this.run.rows.length > rows) this.run.heard(Date.now());
      if (this.run.records.length > before) {
        this.#changed(apart > 0);
        news = Math.min(news, performance.now());
      }
      if (this.run.over) return void reader.cancel().catch(() => undefined);
      if (leave && performance.now() - news > SHORT_READ_MS) return leave();
      pending = reader.read();
      if (apart > 0 && !leave && !full && !(await isSettled(pending))) await pause(apart);
    }
  }

  #live(): void {
    this.state.value = "live";
    this.trouble.value = null;
  }

  #changed(live: boolean): void {
    if (live) this.#failures = 0;
    // Rendering parts of the history while it is read would only delay the rest.
    const apart = live ? UPDATE_INTERVAL_MS : HISTORY_UPDATE_INTERVAL_MS;
    this.#timer ??= setTimeout(() => this.#paint(), Math.max(0, this.#painted + apart - performance.now()));
  }

  #paint(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#painted = performance.now();
    this.version.value++;
  }
}
