/** Adds a job to the comparison: a select with the other jobs. */

import { now } from "../../lib/clock";
import { relative } from "../../lib/format";
import { displayName } from "../../lib/text";
import { jobs } from "../../store/jobs";
import { MOST } from "./diff";

const OFFERED = 100;

export function AddJob({ ids, add }: { ids: readonly string[]; add: (id: string) => void }) {
  const offered = jobs.value.filter(({ id }) => !ids.includes(id)).slice(0, OFFERED);
  if (offered.length === 0 || ids.length >= MOST) return null;
  return (
    <select
      class="compare-add"
      aria-label="Add a job"
      value=""
      onChange={(event) => {
        const id = event.currentTarget.value;
        event.currentTarget.value = "";
        if (id) add(id);
      }}
    >
      <option value="">Add a job…</option>
      {offered.map(({ id, name, status, createdAt, config }) => (
        <option key={id} value={id}>
          {displayName(name).slice(0, 60)}
          {config?.dryRun === true ? " · dry run" : ""} · {status} · {relative(createdAt, now.peek())}
        </option>
      ))}
    </select>
  );
}
