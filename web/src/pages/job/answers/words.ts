/** Differences between two texts, word by word. Pure. */

export interface Piece {
  text: string;
  /** Whether it is new, removed or unchanged. */
  kind: "same" | "new" | "gone";
}

const MOST_WORDS = 1500;
/** Below this share of common words, texts are too different to mark. */
const ALIKE = 0.25;

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
const wordsOf = (text: string): string[] => [...segmenter.segment(text)].map(({ segment }) => segment);

/**
 * The parts of `after`, with the removed parts of `before`, in reading order; null if the texts are too different.
 * `cut` says which were truncated: what follows the end of a truncated one is not a difference.
 */
export function differences(
  before: string,
  after: string,
  cut: { before: boolean; after: boolean },
): Piece[] | null {
  const [old, now] = [wordsOf(before), wordsOf(after)];
  if (old.length > MOST_WORDS || now.length > MOST_WORDS) return null;
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const pieces: Piece[] = now.slice(0, start).map((text) => ({ text, kind: "same" }));
  pieces.push(...middle(old.slice(start, old.length - end), now.slice(start, now.length - end)));
  pieces.push(...now.slice(now.length - end).map((text): Piece => ({ text, kind: "same" })));
  const counts = (kind: Piece["kind"]): number =>
    pieces.filter((piece) => piece.kind === kind && piece.text.trim() !== "").length;
  const same = counts("same");
  if (same < ALIKE * (same + Math.max(counts("new"), counts("gone")))) return null;
  return joined(tidied(pieces, cut));
}

/** By the longest common subsequence. */
function middle(old: readonly string[], now: readonly string[]): Piece[] {
  const width = now.length + 1;
  // The length of the longest common subsequence of the texts' remainders, for each pair of positions.
  const common = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      common[i * width + j] =
        old[i] === now[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      pieces.push({ text: now[j]!, kind: "same" });
      [i, j] = [i + 1, j + 1];
    } else if (
      j === now.length ||
      (i < old.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    )
      pieces.push({ text: old[i++]!, kind: "gone" });
    else pieces.push({ text: now[j++]!, kind: "new" });
  }
  return pieces;
}

/** Without differences that only truncation has caused. */
function tidied(pieces: readonly Piece[], cut: { before: boolean; after: boolean }): Piece[] {
  const last = pieces.findLastIndex(({ kind }) => kind === "same");
  return pieces.flatMap((piece, index) => {
    if (index > last && piece.kind === "new" && cut.before) return [{ ...piece, kind: "same" as const }];
    return index > last && piece.kind === "gone" && cut.after ? [] : [piece];
  });
}

function joined(pieces: readonly Piece[]): Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const before = merged.at(-1);
    if (before?.kind === piece.kind) before.text += piece.text;
    else merged.push({ ...piece });
  }
  return merged;
}
