/** Keeps the end of a growing page in view, until the user scrolls away from it. */
import { useEffect, useRef, useState } from "preact/hooks";

/** Pixels from the end that still count as the end. */
const NEAR = 48;

/** Input events that scroll, and for how many milliseconds after one, at least, a scroll counts as the user's. */
const MEANT = ["wheel", "touchmove", "keydown"] as const;
const UP_KEYS: ReadonlySet<string> = new Set(["ArrowUp", "PageUp", "Home", " "]);
const MEANT_MS = 600;

function fromEnd(): number {
  const page = document.documentElement;
  return page.scrollHeight - page.clientHeight - window.scrollY;
}

interface Follow {
  /** Whether the end is invisible because the user scrolled away from it. */
  away: boolean;
  /** Scrolls to the end and follows it. */
  toEnd: () => void;
}

/**
 * Follows the end of a conversation (`talking`) while it grows. Only the user's own scrolling changes that: a page that
 * changes its height also moves its end and the scroll position.
 */
export function useFollow(talking: boolean): Follow {
  // Before the first question, shows the beginning even in a short window.
  const on = useRef(talking);
  on.current = talking;
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const toEnd = useRef(() => {
    following.current = true;
    setAway(false);
    window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }).current;
  useEffect(() => {
    let last = window.scrollY;
    let height = document.documentElement.scrollHeight;
    let touched = false;
    let forget: ReturnType<typeof setTimeout> | undefined;
    let frame = 0;
    const meant = (event: Event): void => {
      const up =
        event instanceof WheelEvent
          ? event.deltaY < 0
          : event instanceof KeyboardEvent
            ? UP_KEYS.has(event.key)
            : true;
      if (!up) return;
      touched = true;
      clearTimeout(forget);
      cancelAnimationFrame(frame);
      // A busy page learns of the scroll with its next frame, however late that is.
      forget = setTimeout(() => {
        frame = requestAnimationFrame(() => {
          touched = false;
        });
      }, MEANT_MS);
    };
    const scrolled = (): void => {
      const up = window.scrollY < last;
      const own = touched || document.documentElement.scrollHeight === height;
      last = window.scrollY;
      // Any user scroll upwards stops following; a page that changed its height was scrolled by the browser.
      if (!up) following.current ||= fromEnd() <= NEAR;
      else if (own) following.current = fromEnd() <= 1;
      setAway(on.current && !following.current);
    };
    const resized = new ResizeObserver(() => {
      if (on.current && following.current)
        window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
      last = window.scrollY;
      height = document.documentElement.scrollHeight;
    });
    resized.observe(document.body);
    for (const kind of MEANT) addEventListener(kind, meant, { passive: true });
    addEventListener("scroll", scrolled, { passive: true });
    return () => {
      clearTimeout(forget);
      cancelAnimationFrame(frame);
      resized.disconnect();
      for (const kind of MEANT) removeEventListener(kind, meant);
      removeEventListener("scroll", scrolled);
    };
  }, []);
  return { away, toEnd };
}
