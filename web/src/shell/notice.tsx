import { notice, putAway } from "../api/deprecation";
import { Button } from "../ui/controls/button";

/** That the backend will soon want a newer Studio: while there is time, not when it has stopped working. */
export function BackendNotice() {
  if (notice.value === null) return null;
  return (
    <div class="shell-note" role="status">
      <p>
        <strong>A notice from the backend:</strong> {notice.value} A newer Studio may be needed:{" "}
        <code>pip install --upgrade arkor-dev</code>
      </p>
      <Button small onClick={putAway}>
        Dismiss
      </Button>
    </div>
  );
}
