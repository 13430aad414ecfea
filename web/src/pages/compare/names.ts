/** Names that tell the compared jobs apart: runs of one trainer share theirs, so the id's beginning joins where needed. */
import { displayName } from "../../text";

export function distinctNames(jobs: readonly { id: string; name: string | undefined }[]): string[] {
  const names = jobs.map(({ id, name }) => displayName(name ?? id));
  return names.map((name, index) => (names.indexOf(name) === index && names.lastIndexOf(name) === index ? name : `${name} ${jobs[index]!.id.slice(0, 6)}`));
}
