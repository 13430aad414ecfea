/** What the daemon and the command say in the output itself: that a job exists, and how it ended. */
import type { Terminal } from "./terminal";

export interface Ending {
  /** The exit status, 128 + n for signal n; null when the command could not be started. */
  exit: number | null;
  /** Why it could not be started. */
  why: string | null;
  /** How many lines at the end say this, which are told in words instead. */
  lines: number;
}

export function endingOf(terminal: Terminal): Ending | null {
  const { count } = terminal;
  // The answer's last lines are `---` and the result; a blank one stands before them unless the child ended its own.
  for (let back = 2; back <= 3 && back <= count; back += 1) {
    if (terminal.text(count - back) !== "---") continue;
    const last = terminal.text(count - back + 1);
    const blank = count - back - 1 >= 0 && terminal.text(count - back - 1) === "" ? 1 : 0;
    const exit = /^exit=(-?\d+)$/.exec(last);
    if (exit) return { exit: Number(exit[1]), why: null, lines: back + blank };
    const failed = /^failed to start: (.*)$/.exec(last);
    if (failed) return { exit: null, why: failed[1] ?? "", lines: back + blank };
  }
  return null;
}

const LOOK_AT = 2000;

/** The id in `Started job <id>`, which the command prints when the job exists. */
export function startedJob(terminal: Terminal): string | null {
  for (let index = 0; index < Math.min(LOOK_AT, terminal.count); index += 1) {
    const found = /^Started job (\S{1,200})$/.exec(terminal.text(index).trim());
    if (found) return found[1] ?? null;
  }
  return null;
}
