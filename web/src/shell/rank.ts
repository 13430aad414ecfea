/** How well a text matches the typed words, for the palette. */

/** Higher is better, null is no match: a prefix, then a word's start, then anywhere, then letters in order. */
export function rank(text: string, typed: string): number | null {
  if (!typed) return 0;
  const low = text.toLowerCase();
  const at = low.indexOf(typed);
  if (at === 0) return 1000 - low.length / 100;
  if (at > 0) return (/[\s\-_/.:]/.test(low[at - 1] ?? "") ? 800 : 600) - at / 10 - low.length / 100;
  let from = 0;
  let gaps = 0;
  for (const letter of typed) {
    if (letter === " ") continue;
    const position = low.indexOf(letter, from);
    if (position < 0) return null;
    gaps += position - from;
    from = position + 1;
  }
  return gaps <= typed.length * 3 ? 300 - gaps : null;
}

interface Ranked<T> {
  item: T;
  score: number;
}

/** The best `most` of `items`, by rank and, among equals, in their order. */
export function best<T>(
  items: Iterable<T>,
  texts: (item: T) => readonly string[],
  typed: string,
  most: number,
): T[] {
  const query = typed.trim().toLowerCase();
  const ranked: Ranked<T>[] = [];
  for (const item of items) {
    let score: number | null = null;
    for (const text of texts(item)) {
      const textScore = rank(text, query);
      if (textScore !== null && (score === null || textScore > score)) score = textScore;
    }
    if (score !== null) ranked.push({ item, score });
    if (!query && ranked.length >= most) break;
  }
  return ranked
    .sort((a, b) => b.score - a.score)
    .slice(0, most)
    .map(({ item }) => item);
}
