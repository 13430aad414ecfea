import { notice, putAway } from "../api/deprecation";
import { Button } from "../ui/controls/button";

/** Shows the backend's notice that it will soon require a newer Studio. */
export function BackendNotice() {
  if (notice.value === null) return null;
  return (
    <div class="shell-note" role="status">
      <p>
        <strong>A notice from the backend:</strong> {notice.value} A newer Studio may be needed:{" "}
        <code>arkor-dev doctor</code> says how to upgrade.
      </p>
      <Button small onClick={putAway}>
        Dismiss
      </Button>
    </div>
  );
}
