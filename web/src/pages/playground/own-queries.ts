/**
 * Queries that the playground itself has written, until it is notified of them. An effect may learn of one late, after
 * a newer one has been written: it must not undo what was selected since.
 */
export class OwnQueries {
  #unheard: string[] = [];

  /** We have changed the query to `text`; `before` is the previous one. */
  wrote(before: string, text: string): void {
    if (text !== before) this.#unheard.push(text);
  }

  /** Whether `text` is one of ours; there will be no notification of those written before it. */
  hear(text: string): boolean {
    const at = this.#unheard.lastIndexOf(text);
    this.#unheard = this.#unheard.slice(at + 1);
    return at >= 0;
  }

  clear(): void {
    this.#unheard = [];
  }
}
