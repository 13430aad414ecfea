/** Runs that programs want to start; the code is loaded with the first one. */
import { late } from "../lib/late";
import { startRequests } from "../store/jobs";

const useRequests = late(() => import("./start-requests"));

export function LazyStartRequests() {
  const code = useRequests(startRequests.value > 0);
  return code && <code.StartRequests count={startRequests.value} />;
}
