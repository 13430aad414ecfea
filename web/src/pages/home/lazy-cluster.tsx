/** Where the choice of a cluster stands; its code is loaded where the backend can run jobs on one. */

import { late } from "../../lib/late";
import { features } from "../../store/features";

const useCluster = late(() => import("./cluster"));

export function LazyCluster() {
  const named = features.value.has("placement");
  const code = useCluster(named);
  return code ? <code.ClusterChoice /> : null;
}
