/**
 * Scroll restoration: Back, Forward and a reload restore the scroll position, and a new page begins at its top. The
 * position is kept in the history entry's state; browsers restore it only if the page has its full height immediately.
 */

const REST_MS = 150;
/** How long a page may take to reach its former height. */
const MAX_WAIT_MS = 30_000;
/** Input that ends the restoration: the user scrolls elsewhere. */
const MOVES = ["wheel", "touchstart", "pointerdown", "keydown"] as const;

let timer: ReturnType<typeof setTimeout> | undefined;
/** Where the page is to be scrolled to, until it is high enough. */
let target: number | null = null;
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
  // A click or a key may lead to another entry before the pause is over.
  for (const kind of ["click", "keydown"])
    addEventListener(kind, saveWaiting, { capture: true, passive: true });
  // A position that is still pending does not belong to the current entry.
  addEventListener("popstate", forgetWaiting);
  addEventListener("pagehide", savePosition);
  restorePosition();
}

function forgetWaiting(): void {
  clearTimeout(timer);
  timer = undefined;
}

function saveWaiting(): void {
  if (timer !== undefined) savePosition();
}

function savePosition(): void {
  forgetWaiting();
  history.replaceState({ y: target ?? Math.round(scrollY) }, "");
}

/** Restores the position of this history entry or, on a `fresh` page, scrolls to the top. */
export function restorePosition(fresh = false): void {
  stopRestoring();
  const y = positionOf(history.state) ?? (fresh ? 0 : null);
  if (y === null) return;
  target = y;
  const until = performance.now() + MAX_WAIT_MS;
  // First in the next frame, then whenever the page grows: it is too short to scroll until its list has loaded.
  const growing = new ResizeObserver(() => {
    scrollTo({ top: y, behavior: "instant" });
    if (Math.abs(scrollY - y) <= 1 || performance.now() > until) stopRestoring();
  });
  stopRestoring = () => {
    target = null;
    growing.disconnect();
    for (const move of MOVES) removeEventListener(move, stopRestoring);
    stopRestoring = () => undefined;
  };
  for (const move of MOVES) addEventListener(move, stopRestoring, { passive: true });
  growing.observe(document.body);
}

/** The position in a history entry's state, which any script may have written. */
function positionOf(state: unknown): number | null {
  const y = (state as { y?: unknown } | null)?.y;
  return typeof y === "number" && y >= 0 ? y : null;
}
