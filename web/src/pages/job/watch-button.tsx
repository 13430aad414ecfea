import { signal } from "@preact/signals";
import { askPermission, canAsk, isWatched, unwatch, watch } from "../../store/watch";
import { Button } from "../../ui/controls/button";
import { say } from "../../ui/controls/live";

const LABEL = "Notify me when done";

/** Counts the browser's answers, which are no signal; read only where needed, as the first look takes milliseconds. */
const asked = signal(0);

/** Asks to be told when a job ends; the browser's own question comes only after this click. `bare` shows the icon alone. */
export function WatchButton({ id, small, bare }: { id: string; small?: boolean; bare?: boolean }) {
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
      icon={told && !bare ? "check" : "bell"}
      aria-pressed={told}
      {...(bare ? { "aria-label": LABEL, title: LABEL } : {})}
      onClick={() => void press()}
    >
      {!bare && LABEL}
    </Button>
  );
}
