/**
 * Where the reader was: Back, Forward and a reload lead there, and a new page begins at its top. The place is kept in the
 * history's own entry; browsers restore one by themselves only where the page has its full height at once.
 */

const REST_MS = 150;
/** How long a page may take until it is as high as it was. */
const PATIENCE_MS = 5000;
/** What a reader does who wants to be elsewhere by now. */
const MOVES = ["wheel", "touchstart", "pointerdown", "keydown"] as const;

let timer: ReturnType<typeof setTimeout> | undefined;
let leave = (): void => undefined;

export function startPlace(): void {
  history.scrollRestoration = "manual";
  addEventListener(
    "scroll",
    () => {
      clearTimeout(timer);
      timer = setTimeout(note, REST_MS);
    },
    { passive: true },
  );
  addEventListener("pagehide", note);
  arrive();
}

function note(): void {
  history.replaceState({ y: Math.round(scrollY) }, "");
}

/** Goes to where the reader was in this entry of the history, or, on a page that is `fresh`, to its top. */
export function arrive(fresh = false): void {
  leave();
  const y = placeOf(history.state) ?? (fresh ? 0 : null);
  if (y === null) return;
  const until = performance.now() + PATIENCE_MS;
  let frame = 0;
  const go = (): void => {
    scrollTo({ top: y, behavior: "instant" });
    // A list that is still on its way is too short to scroll.
    if (Math.abs(scrollY - y) > 1 && performance.now() < until) frame = requestAnimationFrame(go);
    else leave();
  };
  leave = () => {
    cancelAnimationFrame(frame);
    for (const move of MOVES) removeEventListener(move, leave);
    leave = () => undefined;
  };
  for (const move of MOVES) addEventListener(move, leave, { passive: true });
  frame = requestAnimationFrame(go);
}

/** The place in a history entry's state, whoever wrote it. */
function placeOf(state: unknown): number | null {
  const y = (state as { y?: unknown } | null)?.y;
  return typeof y === "number" && y >= 0 ? y : null;
}
