/** Describes a cluster's free resources. Pure. */
import type { Cluster } from "../../../contract.gen";
import { bytes, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";

/** What is free, and what is wrong there, one sentence each; unknown parts are left out. */
export function clusterWords({ problem, free, nodes = [] }: Cluster): string[] {
  if (problem !== undefined) return [clean(problem, 1000)];
  const parts: string[] = [];
  if (free) {
    const gpus = free.gpus > 0 ? `, ${plural(free.gpus, "GPU")}` : "";
    const where = plural(nodes.length, "machine");
    parts.push(`Free now: ${plural(free.cpus, "processor")}${gpus} and ${bytes(free.memory)} on ${where}.`);
  }
  for (const { name, missing = [], problem: silent } of nodes) {
    const node = clean(name, 100);
    if (silent !== undefined) parts.push(`${node} has not answered: ${clean(silent, 300)}`);
    else if (missing.length > 0)
      parts.push(
        `${node} lacks ${missing.map((module) => clean(module, 100)).join(", ")}: install them in the Python that Ray runs with there.`,
      );
  }
  return parts;
}
