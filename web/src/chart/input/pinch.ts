/** Pinch zoom: each finger stays on its point, as on a map. */

import { type Span, zoomTo } from "../geometry/zoom-range";
import type { Latest } from "./cursor";

interface PinchStart {
  view: Span;
  /** The middle between the fingers at the start, in the chart's x. */
  center: number;
  spread: number;
}

/** Smallest distance between the fingers that counts, in pixels. */
const CLOSEST_PX = 24;

/** Returns a function that stops listening. */
export function pinchZoom(box: HTMLElement, now: { current: Latest }): () => void {
  let grip: PinchStart | null = null;
  const begin = (event: TouchEvent): void => {
    const { scene } = now.current;
    grip = null;
    if (scene === null || event.touches.length !== 2) return;
    if (event.cancelable) event.preventDefault();
    const { middle, spread } = fingersOf(event, box);
    grip = { view: scene.visibleRange, center: scene.x.invert(middle), spread };
  };
  const move = (event: TouchEvent): void => {
    const { scene, onZoom } = now.current;
    if (grip === null || scene === null || event.touches.length !== 2) return;
    if (event.cancelable) event.preventDefault();
    const { middle, spread } = fingersOf(event, box);
    const part = (middle - scene.left) / (scene.right - scene.left);
    onZoom(zoomTo(grip.view, scene.fullRange, grip.center, part, grip.spread / spread));
  };
  const end = (event: TouchEvent): void => {
    if (event.touches.length < 2) grip = null;
  };
  // Not passive: a pinch here must not zoom or scroll the page.
  box.addEventListener("touchstart", begin, { passive: false });
  box.addEventListener("touchmove", move, { passive: false });
  box.addEventListener("touchend", end);
  box.addEventListener("touchcancel", end);
  return () => {
    box.removeEventListener("touchstart", begin);
    box.removeEventListener("touchmove", move);
    box.removeEventListener("touchend", end);
    box.removeEventListener("touchcancel", end);
  };
}

function fingersOf(event: TouchEvent, box: HTMLElement): { middle: number; spread: number } {
  const [a, b] = [event.touches[0]!, event.touches[1]!];
  const middle = (a.clientX + b.clientX) / 2 - box.getBoundingClientRect().left;
  return { middle, spread: Math.max(CLOSEST_PX, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)) };
}
