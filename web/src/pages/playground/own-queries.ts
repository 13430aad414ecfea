/**
 * The queries that the playground has written itself, until it is notified of them. An effect may run late, when a
 * newer one has been written: a late notification must not undo a later choice.
 */
export class OwnQueries {
  #unheard: string[] = [];

  /** The playground has changed the query from `before` to `text`. */
  wrote(before: string, text: string): void {
    if (text !== before) this.#unheard.push(text);
  }

  /** Whether `text` is one of ours; earlier ones will not be reported any longer. */
  hear(text: string): boolean {
    const at = this.#unheard.lastIndexOf(text);
    this.#unheard = this.#unheard.slice(at + 1);
    return at >= 0;
  }

  clear(): void {
    this.#unheard = [];
  }
}
