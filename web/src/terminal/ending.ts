/** Messages of the daemon and the command within the output: that a job exists, and how the command ended. */
import type { Terminal } from "./terminal";

export interface Ending {
  /** The exit status, 128 + n for signal n; null if the command could not be started. */
  exit: number | null;
  /** Why it could not be started. */
  why: string | null;
}

/** The daemon's complete final message, or null for other text. */
export function endingOf(text: string): Ending | null {
  const match = /^\n---\n(?:exit=(-?\d+)|failed to start: (.*))\n$/.exec(text);
  if (!match) return null;
  return { exit: match[1] === undefined ? null : Number(match[1]), why: match[2] ?? null };
}

const LONGEST = 2000;
const MAY_END = /\n(?:-{0,3}|---\n(?:[a-z ]{0,16}|exit=-?\d*|failed to start: .*)\n?)$/;

/** Where the daemon's final message may begin, perhaps truncated; only the stream's end decides. */
export function endsAt(text: string): number {
  const match = MAY_END.exec(text.slice(-LONGEST));
  return match ? text.length - match[0].length : text.length;
}

const LOOK_AT = 2000;

/** The id in `Started job <id>`, which the command prints once the job exists. */
export function startedJob(terminal: Terminal): string | null {
  for (let index = 0; index < Math.min(LOOK_AT, terminal.count); index += 1) {
    const match = /^Started job (\S{1,200})$/.exec(terminal.text(index).trim());
    if (match) return match[1] ?? null;
  }
  return null;
}
