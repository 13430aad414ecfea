/** The choice of a cluster, loaded if the backend can run jobs on one. */

import { late } from "../../lib/late";
import { features } from "../../store/features";

const useCluster = late(() => import("./cluster"));

export function LazyCluster() {
  const offered = features.value.has("placement");
  const code = useCluster(offered);
  return code ? <code.ClusterChoice /> : null;
}
