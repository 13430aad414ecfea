import { signal } from "@preact/signals";
import { askPermission, canAsk, isWatched, unwatch, watch } from "../../../store/watch";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";

const LABEL = "Notify me when done";

/**
 * Counts answers to the permission request, since the permission is not a signal. It is read only where needed: the
 * first read takes milliseconds.
 */
const answers = signal(0);

/** Whether this tab reports a job's end. */
export const notifies = (id: string): boolean => isWatched(id) && answers.value >= 0 && !canAsk();

/** Turns the notification on or off; asks for the browser's permission only now. */
export async function toggleNotify(id: string): Promise<void> {
  if (notifies(id)) {
    unwatch(id);
    say("You will not be notified when it ends");
    return;
  }
  watch(id);
  const granted = await askPermission();
  answers.value++;
  say(
    granted
      ? "A notification will tell you when it ends"
      : "The browser blocks notifications: this tab's title and icon will tell you",
  );
}

/** A toggle for the notification. */
export function WatchButton({ id, small }: { id: string; small?: boolean }) {
  return (
    <Button
      kind="quiet"
      small={small ?? false}
      icon="bell"
      aria-label={LABEL}
      title={LABEL}
      aria-pressed={notifies(id)}
      onClick={() => void toggleNotify(id)}
    />
  );
}
