/** Findings of unreadable rows, by code: a job can skip these rows (`skip_bad_rows`). */
export const INVALID: ReadonlySet<string> = new Set([
  "unreadable",
  "not-json",
  "not-cells",
  "not-utf8",
  "too-long",
  "wrong-keys",
  "wrong-content",
  "blank",
]);
