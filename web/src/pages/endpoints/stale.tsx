/** Says so when what is shown could not be asked for again. */
import { ErrorNote } from "../../ui";
import { endpointsState, refresh } from "./store";

export function Stale() {
  const { error } = endpointsState.value;
  return (
    error && <ErrorNote title="What is shown may be out of date" error={error} retry={() => void refresh()} />
  );
}
