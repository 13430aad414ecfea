/** Installing the engine for training on this machine; its code is loaded if the engine may be missing. */

import { connection } from "../../api/connection";
import { late } from "../../lib/late";
import { jobs, jobsState } from "../../store/jobs";

const useEngine = late(() => import("./engine"));

/** The installation if this Studio waits for it, or (`offered`) if it works without. */
export function LazyEngine({ offered = false }: { offered?: boolean }) {
  const fresh = jobsState.value.loaded && jobs.value.length === 0;
  const code = useEngine(connection.value === "stale" || fresh);
  return code && <code.Engine offered={offered} />;
}
