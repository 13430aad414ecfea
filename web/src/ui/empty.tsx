import type { ComponentChildren } from "preact";
import { cleanBlock } from "../lib/text";
import { Button } from "./controls/button";
import "./empty.css";

/** One sentence about what belongs here, and the one thing to do. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class="ui-empty">
      <p class="ui-empty-title">{title}</p>
      {children && <div class="ui-empty-text">{children}</div>}
      {action && <div class="ui-empty-action">{action}</div>}
    </div>
  );
}

const MOST = 20_000;
/** A longer text may be taller than its box, so the box must be reachable by keyboard. */
const LONG = 600;

interface ErrorProps {
  /** What failed, in a few words: `Couldn't read the jobs`. */
  title?: string;
  /** Why and what next, from the daemon. */
  error: string;
  /** Details for the few readers who need them, such as a stack trace. */
  details?: string | null | undefined;
  retry?: () => void;
  children?: ComponentChildren;
}

/** An error in place of the data. */
export function ErrorNote({ title, error, details, retry, children }: ErrorProps) {
  return (
    <div class="ui-error" role="alert">
      {title && <p class="ui-error-title">{title}</p>}
      <p class="ui-error-text" {...(error.length > LONG ? { tabIndex: 0 } : {})}>
        {cleanBlock(error, MOST)}
      </p>
      {details && (
        <details class="ui-error-details">
          <summary>Show the whole output</summary>
          <pre tabIndex={0}>{cleanBlock(details, MOST)}</pre>
        </details>
      )}
      {children}
      {retry && (
        <Button small onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}
