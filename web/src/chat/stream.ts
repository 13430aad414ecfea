/** One answer, read while it streams: its text, its outcome and its timing. */
import { isAbort } from "../api/client";
import { SseParser } from "../events/sse";
import { type Delta, type Progress, readDelta } from "./deltas";
import type { AnswerState, Timing, ToolCall } from "./model/types";

/** Longest answer that is kept, in UTF-16 units; a model that continues beyond it is stopped. */
export const MAX_ANSWER = 1_000_000;

const MAX_CALLS = 100;

/** Maximum number of bytes read for one answer: an endless frame must not fill the memory. */
const MAX_BYTES = 32_000_000;

export interface AnswerSink {
  text(piece: string): void;
  /** null once text arrives and loading is over. */
  progress(progress: Progress | null): void;
}

export interface Outcome {
  state: Exclude<AnswerState, "streaming">;
  error?: string;
  finish?: string;
  timing?: Timing;
  calls?: ToolCall[];
  engine?: string;
}

/** Collects the frames of one answer; `outcome` is set once no further frame can change it. */
class Reading {
  outcome: Outcome | null = null;
  #length = 0;
  #pieces = 0;
  #counted: number | null = null;
  #finish: string | undefined;
  #engine: string | undefined;
  readonly #calls: ToolCall[] = [];
  #loadedAt: number;
  #firstAt = 0;
  #lastAt = 0;

  constructor(
    private readonly startedAt: number,
    private readonly sink: AnswerSink,
    private readonly clock: () => number,
  ) {
    this.#loadedAt = startedAt;
  }

  take(delta: Delta): void {
    if (this.outcome) return;
    if (delta.progress && this.#pieces === 0) {
      this.#loadedAt = this.clock();
      this.sink.progress(delta.progress);
    }
    if (delta.tokens !== undefined) this.#counted = delta.tokens;
    if (delta.finish !== undefined) this.#finish = delta.finish;
    if (delta.engine !== undefined) this.#engine = delta.engine;
    if (delta.calls && this.#calls.length < MAX_CALLS) this.#calls.push(...delta.calls);
    if (delta.text !== undefined) this.#text(delta.text);
    if (delta.error !== undefined) this.end("failed", delta.error);
    else if (delta.end) this.end("done");
  }

  end(state: Outcome["state"], error?: string): Outcome {
    this.outcome ??= {
      state,
      ...(error === undefined ? {} : { error }),
      ...(this.#finish === undefined ? {} : { finish: this.#finish }),
      ...(this.#engine === undefined ? {} : { engine: this.#engine }),
      ...(this.#calls.length === 0 ? {} : { calls: this.#calls }),
      ...(this.#pieces === 0 ? {} : { timing: this.#timing() }),
    };
    return this.outcome;
  }

  /** The stream ended without an explicit end: fine after a finish reason, interrupted before. */
  closed(): Outcome {
    return this.#finish === undefined
      ? this.end("cut", "The stream ended before the answer did.")
      : this.end("done");
  }

  #text(text: string): void {
    this.#lastAt = this.clock();
    if (this.#pieces++ === 0) {
      this.#firstAt = this.#lastAt;
      this.sink.progress(null);
    }
    const room = MAX_ANSWER - this.#length;
    this.#length += text.length;
    this.sink.text(text.length > room ? text.slice(0, room) : text);
    if (text.length > room) this.end("full");
  }

  #timing(): Timing {
    return {
      firstMs: this.#firstAt - this.startedAt,
      loadMs: this.#loadedAt - this.startedAt,
      textMs: this.#lastAt - this.#firstAt,
      tokens: this.#counted ?? this.#pieces,
      counted: this.#counted !== null,
    };
  }
}

/**
 * Reads the backend's answer to a chat request to its end. Never throws: a stream that breaks or is aborted
 * is an outcome, and the text before it is kept.
 */
export async function readAnswer(
  response: Response,
  startedAt: number,
  sink: AnswerSink,
  clock: () => number = () => performance.now(),
): Promise<Outcome> {
  const reading = new Reading(startedAt, sink, clock);
  const body = response.body;
  if (!body) return reading.closed();
  const reader = body.getReader();
  try {
    if (/^application\/json\b/iu.test(response.headers.get("Content-Type") ?? "")) {
      reader.releaseLock();
      reading.take(readDelta("", await response.text()));
      return reading.end("done");
    }
    const parser = new SseParser({
      event: (name, data) => reading.take(readDelta(name, data)),
    });
    for (let bytes = 0; bytes <= MAX_BYTES; ) {
      const { done, value } = await reader.read();
      if (done) return reading.closed();
      bytes += value.length;
      parser.push(value);
      if (reading.outcome) return reading.outcome;
    }
    return reading.end("full");
  } catch (error) {
    return isAbort(error)
      ? reading.end("stopped")
      : reading.end("cut", "The connection was lost before the answer was complete.");
  } finally {
    // The rest is not wanted; cancelling also makes the server stop.
    if (body.locked) reader.cancel().catch(() => undefined);
  }
}

/** Below this, the chunks arrived at once, and their pace is the network's. */
const LEAST_MS = 50;

/** Tokens per second between the first and the last piece; null if there are too few to tell. */
export function tokensPerSecond({ tokens, textMs }: Timing): number | null {
  return tokens > 1 && textMs >= LEAST_MS ? ((tokens - 1) * 1000) / textMs : null;
}
