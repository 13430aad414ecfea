/** Keyboard control of a blind test. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { typing } from "../../actions/keys";

/** Calls `on` for the arrow keys that vote, unless the user is typing. */
export function useArrows(on: (key: "ArrowLeft" | "ArrowRight" | "ArrowDown") => void): void {
  const latest = useRef(on);
  latest.current = on;
  // Not a passive effect: a key may be pressed before the next frame.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const { key } = event;
      if (key !== "ArrowLeft" && key !== "ArrowRight" && key !== "ArrowDown") return;
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (typing(event) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      // A key that is held down votes once.
      if (!event.repeat) latest.current(key);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
