import { signal } from "@preact/signals";
import { askPermission, canAsk, isWatched, unwatch, watch } from "../../store/watch";
import { Button } from "../../ui/controls/button";
import { say } from "../../ui/controls/live";

/** Counts the browser's answers, which are no signal; read only where needed, as the first look takes milliseconds. */
const asked = signal(0);

/** Asks to be told when a job ends; the browser's own question comes only after this click. */
export function WatchButton({ id, small }: { id: string; small?: boolean }) {
  const told = isWatched(id) && asked.value >= 0 && !canAsk();
  const press = async (): Promise<void> => {
    if (told) {
      unwatch(id);
      say("You will not be told when it ends");
      return;
    }
    watch(id);
    const granted = await askPermission();
    asked.value++;
    say(
      granted
        ? "A notification will tell you when it ends"
        : "The browser allows no notifications: this tab's title and mark will tell you",
    );
  };
  return (
    <Button
      kind="quiet"
      small={small ?? false}
      icon={told ? "check" : "bell"}
      aria-pressed={told}
      onClick={() => void press()}
    >
      Notify me when done
    </Button>
  );
}
