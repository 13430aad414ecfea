/** How far a request for all rows is, or the button that makes it. */
import type { ComponentChildren } from "preact";
import { clean } from "../../lib/text";
import { Button } from "../../ui/controls/button";
import { isBusy, progressWords, type Requested } from "./requested";

/** Nothing once it is completed. */
export function RequestProgress({
  requested,
  label,
  children,
}: {
  requested: Requested;
  label: string;
  children: ComponentChildren;
}) {
  const state = requested.state.value;
  const error = requested.error.value ?? (state?.state === "failed" ? (state.error ?? "") : null);
  return (
    <>
      {error !== null && (
        <p class="data-request-error" role="alert">
          {clean(error, 500)}
        </p>
      )}
      {(state?.state === "none" || state?.state === "failed") && (
        <p class="data-request">
          <Button small kind="primary" onClick={() => void requested.start()}>
            {state.state === "failed" ? "Try again" : label}
          </Button>
          <span class="hint">{children}</span>
        </p>
      )}
      {state && isBusy(state) && (
        <p class="data-request num" role="status">
          {state.progress?.total ? (
            <progress
              max={state.progress.total}
              value={state.progress.done}
              aria-label={clean(state.progress.label, 100)}
            />
          ) : null}{" "}
          {progressWords(state)}{" "}
          <Button small kind="quiet" onClick={() => void requested.cancel()}>
            Cancel
          </Button>
        </p>
      )}
    </>
  );
}
