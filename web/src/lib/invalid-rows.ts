/** Findings of rows that cannot be read, by code: a job can skip these (`skip_bad_rows`). */
export const INVALID: ReadonlySet<string> = new Set([
  "unreadable",
  "not-json",
  "not-cells",
  "not-utf8",
  "too-long",
  "wrong-keys",
  "wrong-content",
]);
