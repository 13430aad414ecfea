/** `list` with the member at `from` moved to `to`; the same list if nothing moves. Pure. */
export function moved<T>(list: readonly T[], from: number, to: number): readonly T[] {
  const index = Math.min(Math.max(to, 0), list.length - 1);
  if (from < 0 || from >= list.length || index === from) return list;
  const rest = list.toSpliced(from, 1);
  return rest.toSpliced(index, 0, list[from] as T);
}

/** The row under a pointer at `y`, given the rows' middles from the top. */
export function rowAt(y: number, middles: readonly number[]): number {
  return middles.filter((middle) => middle < y).length;
}
