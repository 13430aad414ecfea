/** A run's output as it comes: read from its start, followed to its end, and read anew after a loss. */
import { signal } from "@preact/signals";
import { ApiError, errorText, isAbort, request } from "../api";
import { hiddenSignal, pause, shown, withStream } from "../streams";
import { type Ending, endingOf, startedJob } from "../terminal/ending";
import { Terminal } from "../terminal/terminal";

export type OutputState = "waiting" | "open" | "ended" | "failed";

const SNAPSHOT_QUIET_MS = 400;
const SNAPSHOT_EVERY_MS = 3000;
const RETRY_MS = 1500;
/** A chatty command writes more often than anyone reads. */
const SHOW_MS = 120;

export class RunOutput {
  readonly state = signal<OutputState>("waiting");
  /** Counts up, a few times a second at most, when there is more to show. */
  readonly version = signal(0);
  readonly jobId = signal<string | null>(null);
  readonly ending = signal<Ending | null>(null);
  readonly error = signal<string | null>(null);
  terminal = new Terminal();
  private readonly path: string;
  private readonly stopped = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(runId: string) {
    this.path = `/train/${encodeURIComponent(runId)}/output`;
    void this.run();
  }

  close(): void {
    this.stopped.abort();
    clearTimeout(this.timer);
  }

  private async run(): Promise<void> {
    const { signal: stop } = this.stopped;
    while (!stop.aborted) {
      try {
        await shown(stop);
        const here = AbortSignal.any([stop, hiddenSignal()]);
        const held = await withStream(here, (signal) => this.read(signal).then(() => true), { wait: false });
        // All slots are with other tabs: short looks instead of a stream, until one is free.
        if (held === null) await this.read(here, SNAPSHOT_QUIET_MS);
        if (this.ending.peek()) return;
        await pause(held === null ? SNAPSHOT_EVERY_MS : RETRY_MS, stop);
      } catch (error) {
        if (stop.aborted) return;
        if (isAbort(error)) continue;
        if (error instanceof ApiError && error.status !== 0) {
          this.state.value = "failed";
          this.error.value = errorText(error);
          return;
        }
        await pause(RETRY_MS, stop).catch(() => undefined);
      }
    }
  }

  /** Reads from the start; with `quiet`, only until nothing has come for that long. */
  private async read(stop: AbortSignal, quiet?: number): Promise<void> {
    const ended = new AbortController();
    const either = AbortSignal.any([stop, ended.signal]);
    const response = await request(this.path, { signal: either });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) return;
    // The screen changes only once the new reading has something: no flash of an empty output.
    let fresh: Terminal | null = new Terminal();
    for (;;) {
      const timer = quiet === undefined ? undefined : setTimeout(() => ended.abort(), quiet);
      const { value, done } = await reader.read().catch((error: unknown) => {
        if (ended.signal.aborted || isAbort(error)) return { value: undefined, done: true };
        throw error;
      });
      clearTimeout(timer);
      if (fresh && value) {
        this.terminal = fresh;
        fresh = null;
        if (this.state.peek() === "waiting") this.state.value = "open";
      }
      if (value) {
        this.terminal.write(value);
        this.show();
      }
      if (done) break;
    }
    this.look();
  }

  private show(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.look();
    }, SHOW_MS);
  }

  private look(): void {
    this.jobId.value ??= startedJob(this.terminal);
    const ending = endingOf(this.terminal);
    if (ending) {
      this.ending.value = ending;
      this.state.value = "ended";
    }
    this.version.value += 1;
  }
}
