/**
 * A streaming answer, separate from its conversation: text arrives up to hundreds of times a second, and only the
 * component that shows it is rendered again.
 */
import { type Signal, signal } from "@preact/signals";
import type { Progress } from "./deltas";
import type { AnswerSink } from "./stream";

interface LiveView {
  text: string;
  progress: Progress | null;
}

/** Shortest time between two updates in milliseconds: faster than reading, slower than tokens. */
const MIN_INTERVAL_MS = 40;

/** Largest share of time for rendering: a long block, slow to render, is updated less often. */
const MAX_DRAW_SHARE = 0.25;

export class LiveAnswer implements AnswerSink {
  /** Milliseconds since 1970. */
  readonly startedAt = Date.now();
  readonly view: Signal<LiveView> = signal({ text: "", progress: null });
  #text = "";
  #progress: Progress | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = MIN_INTERVAL_MS;

  constructor(private readonly onDrawn: (text: string) => void) {}

  text(piece: string): void {
    this.#text += piece;
    // The first word is shown at once.
    this.#schedule(this.#text === piece ? 0 : this.#wait);
  }

  progress(progress: Progress | null): void {
    this.#progress = progress;
    this.#schedule(progress === null ? 0 : MIN_INTERVAL_MS);
  }

  /** The whole text; drawing has ended. */
  finish(): string {
    clearTimeout(this.#timer);
    return this.#text;
  }

  #schedule(wait: number): void {
    this.#timer ??= setTimeout(() => this.#draw(), wait);
  }

  #draw(): void {
    const started = performance.now();
    this.view.value = { text: this.#text, progress: this.#progress };
    // Preact renders in a microtask, which precedes the next task.
    setTimeout(() => {
      this.#wait = Math.max(MIN_INTERVAL_MS, (performance.now() - started) / MAX_DRAW_SHARE);
      this.#timer = undefined;
      this.onDrawn(this.#text);
      if (this.#text !== this.view.peek().text || this.#progress !== this.view.peek().progress)
        this.#schedule(this.#wait);
    });
  }
}
