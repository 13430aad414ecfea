/** The request log, loaded if the backend keeps one (feature `serving`). */
import type { Deployment } from "../../../contract.gen";
import { late } from "../../../lib/late";
import { features } from "../../../store/features";

const useRequests = late(() => import("."));

export function LazyRequests({ deployment }: { deployment: Deployment }) {
  const some = features.value.has("serving");
  const code = useRequests(some);
  return code ? <code.Requests key={deployment.id} deployment={deployment} /> : null;
}
