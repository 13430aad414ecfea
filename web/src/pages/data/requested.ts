/** What a backend computes of a view's rows on request: polled while it does. */
import { type Signal, signal } from "@preact/signals";
import { errorText } from "../../api/client";
import type { RowEmbeddings } from "../../contract.gen";
import { clean } from "../../lib/text";
import { type Poll, poll } from "../../store/poll";
import type { OpenedView } from "./view";

const BUSY_MS = 500;
const REST_MS = 10_000;

export class Requested {
  readonly state: Signal<RowEmbeddings | null> = signal(null);
  readonly error: Signal<string | null> = signal(null);
  private readonly poll: Poll;

  constructor(
    protected readonly opened: OpenedView,
    private readonly name: "embeddings" | "losses",
    private readonly path: string = `/${name}`,
  ) {
    this.poll = poll(
      () => this.attempt(() => this.look()),
      () => (isBusy(this.state.peek()) ? BUSY_MS : REST_MS),
    );
  }

  close(): void {
    this.poll.stop();
  }

  async start(): Promise<void> {
    await this.attempt(async () => {
      this.state.value = await this.named(this.opened.post(this.path));
    });
    await this.poll.now();
  }

  async cancel(): Promise<void> {
    await this.attempt(() => this.opened.remove(this.path));
    await this.poll.now();
  }

  protected async look(): Promise<void> {
    this.state.value = await this.asked();
  }

  protected asked(): Promise<RowEmbeddings> {
    return this.named(this.opened.get(this.path));
  }

  private async named(answer: Promise<Record<string, RowEmbeddings>>): Promise<RowEmbeddings> {
    return (await answer)[this.name]!;
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
  if (state === "waiting") return "Waiting: this runs when no job is training";
  if (!progress) return "Starting";
  const share = progress.total ? ` ${Math.floor((100 * progress.done) / progress.total)} %` : "";
  return `${clean(progress.label, 200)}${share}`;
}
