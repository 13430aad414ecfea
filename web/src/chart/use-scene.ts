/**
 * The picture that was drawn last: for exports at once, and for statistics a moment later, so that the curve comes first.
 * A signal, because whoever draws the chart must not be drawn anew by what was drawn.
 */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Scene } from "./scene";

const FIRST_MS = 60;
const NEXT_MS = 400;

export interface Shown {
  scene: Signal<Scene | null>;
  latest: () => Scene | null;
  onScene: (scene: Scene) => void;
}

export function useScene(): Shown {
  const scene = useSignal<Scene | null>(null);
  const latest = useRef<Scene | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const onScene = (drawn: Scene): void => {
    latest.current = drawn;
    timer.current ??= setTimeout(
      () => {
        timer.current = undefined;
        scene.value = latest.current;
      },
      scene.peek() === null ? FIRST_MS : NEXT_MS,
    );
  };
  return { scene, latest: () => latest.current, onScene };
}
