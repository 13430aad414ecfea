/** Says that the shown data may be outdated, because the last request failed. */
import { ErrorNote } from "../../ui/empty";
import { endpointsState, refresh } from "./store";

export function Stale() {
  const { error } = endpointsState.value;
  return (
    error && <ErrorNote title="This data may be out of date" error={error} retry={() => void refresh()} />
  );
}
