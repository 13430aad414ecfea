/** `list` with the member at `from` moved to `to`; the same list where that is no move. Pure. */
export function moved<T>(list: readonly T[], from: number, to: number): readonly T[] {
  const index = Math.min(Math.max(to, 0), list.length - 1);
  if (from < 0 || from >= list.length || index === from) return list;
  const rest = list.toSpliced(from, 1);
  return rest.toSpliced(index, 0, list[from] as T);
}

/** The row that a pointer at `y` is over, of rows whose middles are given from the top. */
export function rowAt(y: number, middles: readonly number[]): number {
  return middles.filter((middle) => middle < y).length;
}
