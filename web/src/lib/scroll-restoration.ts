/**
 * Scroll restoration: Back, Forward and a reload restore the scroll position, and a new page begins at its top. The
 * position is kept in the history entry's state; browsers restore it only if the page has its full height immediately.
 */

const REST_MS = 150;
/** How long a page may take to reach its former height. */
const MAX_WAIT_MS = 5000;
/** Input that ends the restoration: the user scrolls elsewhere. */
const MOVES = ["wheel", "touchstart", "pointerdown", "keydown"] as const;

let timer: ReturnType<typeof setTimeout> | undefined;
let stopRestoring = (): void => undefined;

export function startScrollRestoration(): void {
  history.scrollRestoration = "manual";
  addEventListener(
    "scroll",
    () => {
      clearTimeout(timer);
      timer = setTimeout(savePosition, REST_MS);
    },
    { passive: true },
  );
  addEventListener("pagehide", savePosition);
  restorePosition();
}

function savePosition(): void {
  history.replaceState({ y: Math.round(scrollY) }, "");
}

/** Restores the position of this history entry or, on a `fresh` page, scrolls to the top. */
export function restorePosition(fresh = false): void {
  stopRestoring();
  const y = positionOf(history.state) ?? (fresh ? 0 : null);
  if (y === null) return;
  const until = performance.now() + MAX_WAIT_MS;
  let frame = 0;
  const go = (): void => {
    scrollTo({ top: y, behavior: "instant" });
    // The page is too short to scroll until its list has loaded.
    if (Math.abs(scrollY - y) > 1 && performance.now() < until) frame = requestAnimationFrame(go);
    else stopRestoring();
  };
  stopRestoring = () => {
    cancelAnimationFrame(frame);
    for (const move of MOVES) removeEventListener(move, stopRestoring);
    stopRestoring = () => undefined;
  };
  for (const move of MOVES) addEventListener(move, stopRestoring, { passive: true });
  frame = requestAnimationFrame(go);
}

/** The position in a history entry's state, which any script may have written. */
function positionOf(state: unknown): number | null {
  const y = (state as { y?: unknown } | null)?.y;
  return typeof y === "number" && y >= 0 ? y : null;
}
