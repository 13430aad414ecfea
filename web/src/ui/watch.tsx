import { signal } from "@preact/signals";
import { askPermission, canAsk, isWatched, unwatch, watch } from "../store/watch";
import { Button } from "./button";
import { announce } from "./live";

const askable = signal(typeof Notification !== "undefined" && canAsk());

/** Asks to be told when a job ends; the browser's own question comes only after this click. */
export function WatchButton({ id, small }: { id: string; small?: boolean }) {
  const told = isWatched(id) && !askable.value;
  const press = async (): Promise<void> => {
    if (told) {
      unwatch(id);
      announce("You are not told when it ends");
      return;
    }
    watch(id);
    if (canAsk()) await askPermission();
    askable.value = canAsk();
    announce("You are told when it ends");
  };
  return (
    <Button kind="quiet" small={small ?? false} icon={told ? "check" : "bell"} aria-pressed={told} onClick={() => void press()}>
      Tell me when it ends
    </Button>
  );
}
