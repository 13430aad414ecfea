/** A job that runs or is paused without a command of this launch; its code is loaded with the first one. */

import { late } from "../../lib/late";
import { jobs } from "../../store/jobs";

const useElsewhere = late(() => import("./elsewhere"));

export function LazyElsewhere({ paused = false }: { paused?: boolean }) {
  const any = jobs.value.some(({ status }) => status === "running" || status === "paused");
  const code = useElsewhere(any);
  return code && <code.Elsewhere paused={paused} />;
}
