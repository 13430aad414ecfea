import { signal } from "@preact/signals";
import { askPermission, canAsk, isWatched, unwatch, watch } from "../store/watch";
import { Button } from "./button";
import { announce } from "./live";

/** Counts the browser's answers, which are no signal; read only where needed, as the first look takes milliseconds. */
const asked = signal(0);

/** Asks to be told when a job ends; the browser's own question comes only after this click. */
export function WatchButton({ id, small }: { id: string; small?: boolean }) {
  const told = isWatched(id) && asked.value >= 0 && !canAsk();
  const press = async (): Promise<void> => {
    if (told) {
      unwatch(id);
      announce("You are not told when it ends");
      return;
    }
    watch(id);
    if (canAsk()) await askPermission();
    asked.value++;
    announce("You are told when it ends");
  };
  return (
    <Button kind="quiet" small={small ?? false} icon={told ? "check" : "bell"} aria-pressed={told} onClick={() => void press()}>
      Tell me when it ends
    </Button>
  );
}
