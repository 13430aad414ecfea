/**
 * The scene that was drawn last: exports read it directly; statistics get it a moment later, so that the curve is painted
 * first. It is a signal, so that the component which draws the chart is not rendered again by its own scene.
 */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Scene } from "./geometry/scene";

const FIRST_MS = 60;
/** Shorter than the interval between two updates of a live run, so that statistics change in the same frame as the curve. */
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
