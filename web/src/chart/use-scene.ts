/**
 * The picture that was drawn last: for exports at once, and for statistics, the first time a moment later, so that the curve
 * comes first. A signal, because whoever draws the chart must not be drawn anew by what was drawn.
 */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Scene } from "./geometry/scene";

const FIRST_MS = 60;
/** Less than between two pictures of a live run, so that its statistics come in the same frame as its curve. */
const INTERVAL_MS = 350;

export interface SceneHandle {
  scene: Signal<Scene | null>;
  latest: () => Scene | null;
  onScene: (scene: Scene) => void;
}

export function useScene(): SceneHandle {
  const scene = useSignal<Scene | null>(null);
  const latest = useRef<Scene | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const shownAt = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const show = (): void => {
    clearTimeout(timer.current);
    timer.current = undefined;
    shownAt.current = performance.now();
    scene.value = latest.current;
  };
  const onScene = (drawn: Scene): void => {
    latest.current = drawn;
    const wait = scene.peek() === null ? FIRST_MS : shownAt.current + INTERVAL_MS - performance.now();
    if (wait <= 0) show();
    else timer.current ??= setTimeout(show, wait);
  };
  return { scene, latest: () => latest.current, onScene };
}
