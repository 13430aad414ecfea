/** Pointer, wheel, touch and keyboard input of a chart: cursor, brushing and zoom. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Scene } from "../geometry/scene";
import { rangeOfBrush, type Span } from "../geometry/zoom-range";
import type { Cursor, Latest } from "./cursor";
import { handleKey } from "./keyboard";
import { pinchZoom } from "./pinch";
import { wheelZoom } from "./wheel";

export interface ChartInput {
  cursor: Signal<Cursor | null>;
  brush: Signal<Span | null>;
  handlers: Record<string, (event: never) => void>;
}

const CLICK_PX = 4;

export function useChartInput(
  box: { current: HTMLElement | null },
  scene: Scene | null,
  onZoom: Latest["onZoom"],
  shared?: Signal<Cursor | null>,
): ChartInput {
  const own = useSignal<Cursor | null>(null);
  const cursor = shared ?? own;
  const brush = useSignal<Span | null>(null);
  const start = useRef<number | null>(null);
  const touching = useRef(new Set<number>());
  /** The cursor before a touch, restored if the touch becomes a scroll of the page. */
  const before = useRef<Cursor | null>(null);
  const now = useRef<Latest>({ scene, onZoom });
  now.current = { scene, onZoom };

  useEffect(() => wheelZoom(box.current!, now), []);
  useEffect(() => pinchZoom(box.current!, now), []);
  useEffect(() => {
    // After a tap, the crosshair stays until the user touches something else.
    const elsewhere = (event: Event): void => {
      if (!box.current!.contains(event.target as Node)) cursor.value = null;
    };
    addEventListener("pointerdown", elsewhere);
    return () => removeEventListener("pointerdown", elsewhere);
  }, []);

  const read = (event: PointerEvent, scene: Scene): number => {
    const { left, top } = box.current!.getBoundingClientRect();
    const px = event.clientX - left;
    const py = event.clientY - top;
    cursor.value =
      px < scene.left - 12 || px > scene.right + 12 || py > scene.height
        ? null
        : { px: clamp(px, scene), py };
    return px;
  };
  const handlers = {
    onPointerDown(event: PointerEvent) {
      const { scene } = now.current;
      const touch = event.pointerType === "touch";
      if (touch) touching.current.add(event.pointerId);
      if (scene === null || event.button !== 0 || (event.target as Element).closest("a")) return;
      before.current = cursor.peek();
      const px = read(event, scene);
      if (touching.current.size > 1) cursor.value = null;
      if (touch) return;
      start.current = px;
      box.current!.setPointerCapture(event.pointerId);
    },
    onPointerMove(event: PointerEvent) {
      const { scene } = now.current;
      if (scene === null) return;
      // Two fingers zoom; they do not move the cursor.
      if (touching.current.size > 1) return void (cursor.value = null);
      const px = read(event, scene);
      const from = start.current;
      brush.value =
        from === null || Math.abs(px - from) < CLICK_PX ? null : [clamp(from, scene), clamp(px, scene)];
    },
    onPointerUp(event: PointerEvent) {
      touching.current.delete(event.pointerId);
      const { scene, onZoom } = now.current;
      const span = brush.peek();
      start.current = brush.value = null;
      if (scene === null || span === null) return;
      const zoom = rangeOfBrush(scene.x.invert(span[0]), scene.x.invert(span[1]), scene.fullRange);
      if (zoom !== null) onZoom(zoom);
    },
    onPointerCancel(event: PointerEvent) {
      touching.current.delete(event.pointerId);
      start.current = brush.value = null;
      if (event.pointerType === "touch") cursor.value = before.current;
    },
    onPointerLeave(event: PointerEvent) {
      if (start.current === null && event.pointerType !== "touch") cursor.value = null;
    },
    onDblClick() {
      now.current.onZoom(null);
    },
    onKeyDown(event: KeyboardEvent) {
      const { scene, onZoom } = now.current;
      if (
        scene === null ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        (event.target as Element).closest("a")
      )
        return;
      if (event.key === "Escape") {
        if (cursor.peek() === null && start.current === null) return;
        cursor.value = brush.value = start.current = null;
      } else if (!handleKey(event.key, event.shiftKey, scene, cursor, onZoom)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    onBlur() {
      cursor.value = null;
    },
  };
  return { cursor, brush, handlers };
}

function clamp(px: number, scene: Scene): number {
  return Math.min(scene.right, Math.max(scene.left, px));
}
