/** Keeps the end of a growing page in view, until the reader scrolls away from it. */
import { useEffect, useRef, useState } from "preact/hooks";

/** Pixels from the end that still count as being there. */
const NEAR = 48;

function fromEnd(): number {
  const page = document.documentElement;
  return page.scrollHeight - page.clientHeight - window.scrollY;
}

export interface Follow {
  /** Whether the end is out of sight because the reader left it. */
  away: boolean;
  /** Goes to the end and stays with it. */
  toEnd: () => void;
}

/**
 * Follows the end of the page while it grows. Only the reader's own scrolling changes whether it follows:
 * a page that grows or shrinks moves its end, and the browser its place, but not the reader's mind.
 */
export function useFollow(): Follow {
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const toEnd = useRef(() => {
    following.current = true;
    setAway(false);
    window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }).current;
  useEffect(() => {
    let last = window.scrollY;
    const scrolled = (): void => {
      const up = window.scrollY < last;
      last = window.scrollY;
      // The slightest way up is a wish to stay.
      following.current = up ? fromEnd() <= 1 : following.current || fromEnd() <= NEAR;
      setAway(!following.current);
    };
    const resized = new ResizeObserver(() => {
      if (following.current) window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
      last = window.scrollY;
    });
    resized.observe(document.body);
    addEventListener("scroll", scrolled, { passive: true });
    return () => {
      resized.disconnect();
      removeEventListener("scroll", scrolled);
    };
  }, []);
  return { away, toEnd };
}
