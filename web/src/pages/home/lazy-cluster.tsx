/** Placeholder for the choice of a cluster; its code is loaded if the backend supports clusters. */

import { late } from "../../lib/late";
import { features } from "../../store/features";

const useCluster = late(() => import("./cluster"));

export function LazyCluster() {
  const named = features.value.has("placement");
  const code = useCluster(named);
  return code ? <code.ClusterChoice /> : null;
}
