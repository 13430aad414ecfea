import { useEffect } from "preact/hooks";
import { backendTrouble, connection, staleSeconds } from "../api/connection";
import { duration } from "../lib/format";
import { cleanBlock } from "../lib/text";
import { jobsState, refreshJobs } from "../store/jobs";
import { Button } from "../ui/controls/button";
import { announce } from "../ui/live";

const WORDS = {
  connecting: "Connecting",
  live: "Connected",
  stale: "Backend away",
  gone: "Studio is not answering",
} as const;

/** The dot in the bar: quiet while all is well, a word beside it when not. */
export function ConnectionDot() {
  const state = connection.value;
  useEffect(() => {
    if (state !== "connecting") announce(WORDS[state]);
  }, [state]);
  return (
    <span class={`shell-dot shell-dot-${state}`} title={WORDS[state]}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">
        {state === "live" ? (
          <circle cx="5" cy="5" r="3.5" />
        ) : (
          <circle class="shell-dot-ring" cx="5" cy="5" r="3" />
        )}
      </svg>
      <span class={state === "live" || state === "connecting" ? "visually-hidden" : ""}>{WORDS[state]}</span>
    </span>
  );
}

/** What is wrong and what is being tried, above a page whose data may be old. */
export function ConnectionNote() {
  const state = connection.value;
  if (state === "gone") {
    return (
      <div class="shell-note shell-note-bad">
        <p>
          <strong>Studio is not answering.</strong> It may have been stopped in the terminal; start it again
          with <code>arkor-dev</code>. This page retries every second and continues by itself.
        </p>
      </div>
    );
  }
  // Without any data the page itself says what is wrong, where the data would be.
  if (state !== "stale" || !jobsState.value.loaded) return null;
  const seconds = staleSeconds.value;
  return (
    <div class="shell-note">
      <p>
        {seconds === null ? (
          <>
            <strong>What you see may be old.</strong> {cleanBlock(backendTrouble.value ?? "", 400)}
          </>
        ) : (
          <>
            <strong>The backend is not answering.</strong> {cleanBlock(backendTrouble.value ?? "", 400)} What
            you see is from {duration(seconds * 1000)} ago.
          </>
        )}{" "}
        Retrying every 5 s.
      </p>
      <Button small onClick={() => void refreshJobs()}>
        Retry now
      </Button>
    </div>
  );
}
