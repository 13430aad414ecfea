import type { JobStatus } from "../contract.gen";
import { clean } from "../lib/text";
import "./status.css";

const WORDS: Readonly<Record<JobStatus | "ended", string>> = {
  queued: "Queued",
  running: "Running",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  ended: "Ended",
};

/** The status in words; an unknown status is shown as received. */
export function statusWord(status: string): string {
  return Object.hasOwn(WORDS, status) ? WORDS[status as keyof typeof WORDS] : clean(status, 40) || "Unknown";
}

/** Each status has its own shape, so that the meaning does not depend on colour. */
export function StatusDot({ status, label }: { status: string; label?: string | undefined }) {
  const known = Object.hasOwn(WORDS, status) ? status : "unknown";
  return (
    <span class={`ui-status ui-status-${known}`}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">
        <Shape status={known} />
      </svg>
      <span>{label ?? statusWord(status)}</span>
    </span>
  );
}

function Shape({ status }: { status: string }) {
  switch (status) {
    case "completed":
      return <circle class="ui-status-fill" cx="5" cy="5" r="4" />;
    case "running":
      return (
        <>
          <circle class="ui-status-line" cx="5" cy="5" r="4" />
          <circle class="ui-status-fill" cx="5" cy="5" r="2" />
        </>
      );
    case "paused":
      return <path class="ui-status-line" d="M3 1.5v7M7 1.5v7" />;
    case "failed":
      return <path class="ui-status-line" d="m2 2 6 6M8 2 2 8" />;
    case "cancelled":
      return <path class="ui-status-line" d="M1.5 5h7" />;
    default:
      return <circle class="ui-status-line" cx="5" cy="5" r="3.5" />;
  }
}
