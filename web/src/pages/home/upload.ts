/** Uploads a data file to Studio, which stores it in the project. */
import { api } from "../../api/client";

/** Types that the file picker offers. */
export const DATA_FILES = ".csv,.tsv,.json,.jsonl,.ndjson,.parquet,.gz";

export interface Uploaded {
  path: string;
  /** A first trainer was created for it. */
  created: boolean;
  /** Of a log or a trace, in lines: how many rows it became, and what was not converted. */
  note?: string;
}

/** Throws `ApiError`. */
export function uploadData(file: File): Promise<Uploaded> {
  return api(`/project/data?${new URLSearchParams({ name: file.name })}`, { method: "POST", file });
}
