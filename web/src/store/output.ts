/** A run's output: read from its start, followed to its end, and read again after a broken connection. */
import { signal } from "@preact/signals";
import { ApiError, errorText, isAbort, request } from "../api/client";
import { hiddenSignal, pause, tabVisible, withStream } from "../api/stream-slots";
import { inOneTab } from "../events/waits";
import { type Ending, endingOf, endsAt, startedJob } from "../terminal/ending";
import { Terminal } from "../terminal/terminal";

const SHORT_READ_IDLE_MS = 400;
const SHORT_READ_MS = 1000;
const SHORT_READ_EVERY_MS = 3000;
const RETRY_MS = 1500;
/** The shortest time between two updates of the page. */
const SHOW_MS = 120;
const SAVE_IDLE_MS = 2000;
/** Longest line in a saved file, in characters. */
const MAX_LINE = 1_000_000;

export class RunOutput {
  /** Counts up, at most a few times a second, when there is more to show. */
  readonly version = signal(0);
  readonly jobId = signal<string | null>(null);
  readonly ending = signal<Ending | null>(null);
  readonly error = signal<string | null>(null);
  terminal = new Terminal();
  readonly #path: string;
  readonly #stopped = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(runId: string) {
    this.#path = `/train/${encodeURIComponent(runId)}/output`;
    void this.#run();
  }

  close(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** The whole output so far, as text; the page itself keeps only its end. */
  async whole(): Promise<Blob> {
    const terminal = new Terminal({ lines: Infinity, width: MAX_LINE });
    const known = this.terminal.written;
    // The browser may store these parts on disk.
    const parts: Blob[] = [];
    const take = (text: string): boolean => {
      terminal.write(text);
      parts.push(new Blob([terminal.take()]));
      return terminal.written < known;
    };
    await readOutput(this.#path, this.#stopped.signal, take, SAVE_IDLE_MS);
    return new Blob([...parts, terminal.take(0)], { type: "text/plain" });
  }

  async #run(): Promise<void> {
    const { signal: stop } = this.#stopped;
    while (!stop.aborted) {
      try {
        await tabVisible(stop);
        const signals = AbortSignal.any([stop, hiddenSignal()]);
        const followed = await withStream(signals, (signal) => this.#follow(signal).then(() => true), {
          wait: false,
        });
        // Other tabs hold all slots: poll briefly instead of streaming, until one is free.
        if (followed === null) await inOneTab(signals, () => this.#readShortly(signals));
        if (this.ending.peek()) return;
        await pause(followed === null ? SHORT_READ_EVERY_MS : RETRY_MS, stop);
      } catch (error) {
        if (stop.aborted) return;
        if (isAbort(error)) continue;
        if (error instanceof ApiError && error.status !== 0) {
          this.error.value = errorText(error);
          return;
        }
        await pause(RETRY_MS, stop).catch(() => undefined);
      }
    }
  }

  async #follow(stop: AbortSignal): Promise<void> {
    const fresh = new Terminal();
    const take = (text: string): boolean => {
      fresh.write(text);
      this.#timer ??= setTimeout(() => this.#show(fresh), SHOW_MS);
      return true;
    };
    this.#show(fresh, await readOutput(this.#path, stop, take));
  }

  /** Also ends after a fixed time, since a chatty command is never silent. */
  async #readShortly(stop: AbortSignal): Promise<void> {
    const fresh = new Terminal();
    let until = Infinity;
    const take = (text: string): boolean => {
      fresh.write(text);
      until = Math.min(until, performance.now() + SHORT_READ_MS);
      return performance.now() < until;
    };
    this.#show(fresh, await readOutput(this.#path, stop, take, SHORT_READ_IDLE_MS));
  }

  #show(fresh: Terminal, ending: Ending | null = null): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // The screen changes only once the new reading has content, without a flash of empty output.
    if (fresh.written > 0) this.terminal = fresh;
    this.jobId.value ??= startedJob(this.terminal);
    this.ending.value = ending;
    this.version.value += 1;
  }
}

/**
 * Reads an output from its start until `take` has enough, or nothing has arrived for `idle` ms. Returns how the command
 * ended if the stream came to its own end: before that, the same text can only be the command's.
 */
async function readOutput(
  path: string,
  stop: AbortSignal,
  take: (text: string) => boolean,
  idle?: number,
): Promise<Ending | null> {
  const leave = new AbortController();
  let buffer = "";
  try {
    const response = await request(path, { signal: AbortSignal.any([stop, leave.signal]) });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    while (true) {
      const timer = idle && setTimeout(() => leave.abort(), idle);
      const { value, done } = await reader.read();
      clearTimeout(timer);
      if (done) {
        const ending = endingOf(buffer);
        if (!ending) take(buffer);
        return ending;
      }
      const text = buffer + value;
      const end = endsAt(text);
      buffer = text.slice(end);
      if (!take(text.slice(0, end))) return null;
    }
  } catch (error) {
    if (leave.signal.aborted && !stop.aborted) return null;
    throw error;
  } finally {
    leave.abort();
  }
}
