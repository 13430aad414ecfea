/** What the backend reported about reproducibility. */
import { isObject } from "../../../lib/json";
import type { JobNow } from "../state";

export const HASHES: readonly (readonly [string, string])[] = [
  ["dataHash", "Data"],
  ["modelHash", "Model"],
];

/** Whether the backend has reported anything about reproducibility. */
export function isReproducible({ run: { metadata } }: JobNow): boolean {
  return (
    HASHES.some(([key]) => typeof metadata[key] === "string" && metadata[key] !== "") ||
    (isObject(metadata.versions) && Object.keys(metadata.versions).length > 0) ||
    typeof metadata.threads === "number"
  );
}
