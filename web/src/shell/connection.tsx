import { useEffect } from "preact/hooks";
import { backendStatus, backendTrouble, connection, OUTDATED, staleSeconds } from "../api/connection";
import { duration } from "../lib/format";
import { cleanBlock } from "../lib/text";
import { jobsState, refreshJobs, storeTrouble } from "../store/jobs";
import { Button } from "../ui/controls/button";
import { announce } from "../ui/controls/live";

const WORDS = {
  connecting: "Connecting",
  live: "Connected",
  stale: "Backend away",
  gone: "Studio is not answering",
} as const;

function wordOf(state: keyof typeof WORDS): string {
  if (state !== "stale" || backendStatus.value === null) return WORDS[state];
  return backendStatus.value === OUTDATED ? "Upgrade needed" : "Backend error";
}

/** The dot in the bar; a word accompanies it while the connection is not live. */
export function ConnectionDot() {
  const state = connection.value;
  const word = wordOf(state);
  useEffect(() => {
    if (state !== "connecting") announce(word);
  }, [word]);
  return (
    <span class={`shell-dot shell-dot-${state}`} title={word}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">
        {state === "live" ? (
          <circle cx="5" cy="5" r="3.5" />
        ) : (
          <circle class="shell-dot-ring" cx="5" cy="5" r="3" />
        )}
      </svg>
      <span class={state === "live" || state === "connecting" ? "visually-hidden" : ""}>{word}</span>
    </span>
  );
}

/** A line above stale data: how old they may be, why, and what is being tried. */
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
  if (state === "live" && storeTrouble.value !== null) {
    return (
      <div class="shell-note shell-note-bad" role="alert">
        <p>
          <strong>The backend can store nothing.</strong> {cleanBlock(storeTrouble.value, 600)}
        </p>
      </div>
    );
  }
  // A page without any data shows the error itself.
  if (state !== "stale" || !jobsState.value.loaded) return null;
  const [seconds, status] = [staleSeconds.value, backendStatus.value];
  const outdated = status === OUTDATED;
  return (
    <div class="shell-note">
      <p>
        <strong>
          {outdated
            ? "This Studio must be upgraded."
            : seconds === null
              ? "This data may be out of date."
              : status === null
                ? "The backend is not answering."
                : "The backend answers with an error."}
        </strong>{" "}
        {cleanBlock(backendTrouble.value ?? "", 600)
          .split("`")
          .map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}
        {!outdated && seconds !== null && ` What you see is from ${duration(seconds * 1000)} ago.`}
        {!outdated && " Retrying every 5 s."}
      </p>
      <Button small onClick={() => void refreshJobs()}>
        Retry now
      </Button>
    </div>
  );
}
