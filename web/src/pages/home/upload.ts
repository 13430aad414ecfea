/** Uploads a data file to Studio, which stores it in the project. */
import { api } from "../../api/client";

/** Types that the file picker offers. */
export const DATA_FILES = ".csv,.tsv,.json,.jsonl,.ndjson,.parquet,.gz";

/** `created` if a first trainer was created for it. Throws `ApiError`. */
export function uploadData(file: File): Promise<{ path: string; created: boolean }> {
  return api(`/project/data?${new URLSearchParams({ name: file.name })}`, { method: "POST", file });
}
