/** The wheel zooms a chart around the pointer and pans sideways. Turns that started as scrolling stay with the page. */

import { pan, zoomAround } from "../geometry/zoom-range";
import type { Latest } from "./cursor";

const WHEEL = 0.0022;
/** A turn this soon after one outside the chart continues it: the user is scrolling past the chart. */
const CHAIN_MS = 350;

/** Returns a function that stops listening. */
export function wheelZoom(box: HTMLElement, now: { current: Latest }): () => void {
  let elsewhere = -Infinity;
  const passing = (event: WheelEvent): void => {
    if (!event.defaultPrevented) elsewhere = event.timeStamp;
  };
  const turn = (event: WheelEvent): void => {
    const { scene, onZoom } = now.current;
    if (scene === null || (event.timeStamp - elsewhere < CHAIN_MS && !event.ctrlKey)) return;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const isFull = scene.visibleRange[1] - scene.visibleRange[0] >= scene.fullRange[1] - scene.fullRange[0];
    // If there is nothing to zoom out of or pan to, the page scrolls.
    if (isFull && (sideways || event.deltaY > 0)) return;
    event.preventDefault();
    const pixels =
      (sideways ? event.deltaX || event.deltaY : event.deltaY) * (event.deltaMode === 1 ? 16 : 1);
    if (sideways)
      return onZoom(pan(scene.visibleRange, scene.fullRange, pixels / (scene.right - scene.left)));
    const px = event.clientX - box.getBoundingClientRect().left;
    const center = scene.x.invert(Math.min(scene.right, Math.max(scene.left, px)));
    onZoom(
      zoomAround(
        scene.visibleRange,
        scene.fullRange,
        center,
        Math.exp(pixels * WHEEL * (event.ctrlKey ? 4 : 1)),
      ),
    );
  };
  box.addEventListener("wheel", turn, { passive: false });
  addEventListener("wheel", passing, { passive: true });
  return () => {
    box.removeEventListener("wheel", turn);
    removeEventListener("wheel", passing);
  };
}
