/** Distinct names for the compared jobs: if names are equal, part of the id is added. */
import { displayName } from "../../lib/text";

const SHORTEST = 6;

export function distinctNames(jobs: readonly { id: string; name: string | undefined }[]): string[] {
  const names = jobs.map(({ id, name }) => displayName(name ?? id));
  return names.map((name, index) => {
    const alike = jobs.filter((_, other) => names[other] === name).map(({ id }) => id);
    return alike.length > 1 ? `${name} ${partOf(jobs[index]!.id, alike)}` : name;
  });
}

/** The part of each id after their common prefix (`job_`), just long enough to be unique. */
function partOf(id: string, ids: readonly string[]): string {
  const head = /^.*?[_-]/.exec(id)?.[0] ?? "";
  const from = ids.every((other) => other.startsWith(head)) ? head.length : 0;
  let to = from + SHORTEST;
  while (to < id.length && new Set(ids.map((other) => other.slice(0, to))).size < ids.length) to++;
  return id.slice(from, to);
}
