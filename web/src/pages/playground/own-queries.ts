/**
 * The queries that the playground has written itself, until it is told of them. An effect may hear of one late, when a
 * newer one has been written: whatever it is then told must not undo what was chosen since.
 */
export class OwnQueries {
  #unheard: string[] = [];

  /** The query has become `text` by our own hand; `before` is what it was. */
  wrote(before: string, text: string): void {
    if (text !== before) this.#unheard.push(text);
  }

  /** Whether `text` is one of ours; those that were written before it will not be told any more. */
  hear(text: string): boolean {
    const at = this.#unheard.lastIndexOf(text);
    this.#unheard = this.#unheard.slice(at + 1);
    return at >= 0;
  }

  clear(): void {
    this.#unheard = [];
  }
}
