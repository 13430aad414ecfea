/** What pointer, wheel and keys do to a chart: a cursor to read by, a brush, and the next zoom. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { pinchZoom } from "./pinch";
import { along, closest, hitsAt } from "./pick";
import type { Scene } from "./scene";
import { brushed, pan, type Span, zoomAround } from "./view";

/** Where the crosshair stands: under the pointer, or on a point that the keys chose. */
export type Cursor = { px: number; py: number } | { key: string; index: number };

export interface ChartInput {
  cursor: Signal<Cursor | null>;
  brush: Signal<Span | null>;
  handlers: Record<string, (event: never) => void>;
}

const CLICK_PX = 4;
const WHEEL = 0.0022;
/** Wheel turns this soon after others were for the page: the page was being scrolled when the chart came by. */
const CHAIN_MS = 350;

export function useChartInput(box: { current: HTMLElement | null }, scene: Scene | null, onZoom: (zoom: Span | null) => void): ChartInput {
  const cursor = useSignal<Cursor | null>(null);
  const brush = useSignal<Span | null>(null);
  const start = useRef<number | null>(null);
  const touching = useRef(new Set<number>());
  const now = useRef({ scene, onZoom });
  now.current = { scene, onZoom };

  useEffect(() => wheelZoom(box.current!, now), []);
  useEffect(() => pinchZoom(box.current!, now), []);

  const at = (event: PointerEvent): { px: number; py: number } => {
    const { left, top } = box.current!.getBoundingClientRect();
    return { px: event.clientX - left, py: event.clientY - top };
  };
  const handlers = {
    onPointerDown(event: PointerEvent) {
      if (event.pointerType === "touch") touching.current.add(event.pointerId);
      if (event.button !== 0 || event.pointerType === "touch" || (event.target as Element).closest("a")) return;
      start.current = at(event).px;
      box.current!.setPointerCapture(event.pointerId);
    },
    onPointerMove(event: PointerEvent) {
      const { scene } = now.current;
      const { px, py } = at(event);
      if (scene === null) return;
      // Two fingers zoom: neither of them reads the curve.
      if (touching.current.size > 1) return void (cursor.value = null);
      const from = start.current;
      brush.value = from === null || Math.abs(px - from) < CLICK_PX ? null : [clamp(from, scene), clamp(px, scene)];
      cursor.value = px < scene.left - 12 || px > scene.right + 12 || py > scene.height ? null : { px: clamp(px, scene), py };
    },
    onPointerUp(event: PointerEvent) {
      touching.current.delete(event.pointerId);
      const { scene, onZoom } = now.current;
      const span = brush.peek();
      start.current = brush.value = null;
      if (scene === null || span === null) return;
      const zoom = brushed(scene.x.invert(span[0]), scene.x.invert(span[1]), scene.all);
      if (zoom !== null) onZoom(zoom);
    },
    onPointerCancel(event: PointerEvent) {
      touching.current.delete(event.pointerId);
      start.current = brush.value = null;
    },
    onPointerLeave() {
      if (start.current === null) cursor.value = null;
    },
    onDblClick() {
      now.current.onZoom(null);
    },
    onKeyDown(event: KeyboardEvent) {
      const { scene, onZoom } = now.current;
      if (scene === null || event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("a")) return;
      const before = cursor.peek();
      if (!keyed(event, scene, cursor, brush, onZoom)) return;
      event.preventDefault();
      event.stopPropagation();
      if (cursor.peek() !== before) keepInSight(scene, cursor.peek(), onZoom);
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

function keyed(event: KeyboardEvent, scene: Scene, cursor: Signal<Cursor | null>, brush: Signal<Span | null>, onZoom: (zoom: Span | null) => void): boolean {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step !== undefined) return move(scene, cursor, event.shiftKey ? step * 10 : step);
  switch (event.key) {
    case "Home":
      return move(scene, cursor, -Infinity);
    case "End":
      return move(scene, cursor, Infinity);
    case "+":
    case "=":
      onZoom(zoomAround(scene.view, scene.all, centre(scene, cursor.peek()), 0.6));
      return true;
    case "-":
    case "_":
      onZoom(zoomAround(scene.view, scene.all, centre(scene, cursor.peek()), 1 / 0.6));
      return true;
    case "0":
      onZoom(null);
      return true;
    case "Escape":
      if (cursor.peek() === null && brush.peek() === null) return false;
      cursor.value = brush.value = null;
      return true;
    default:
      return false;
  }
}

/** Moves the crosshair by points of the line it is on, to begin with the first line. */
function move(scene: Scene, cursor: Signal<Cursor | null>, by: number): boolean {
  const old = cursor.peek();
  const drawn = (old && "key" in old ? scene.drawn.find(({ track }) => track.key === old.key) : undefined) ?? scene.drawn[0];
  if (drawn === undefined || drawn.line.xs.length === 0) return false;
  const last = drawn.line.xs.length - 1;
  let index: number;
  if (!Number.isFinite(by)) index = by < 0 ? along(drawn, -1, 1) : along(drawn, last + 1, -1);
  else if (old === null) index = closest(hitsAt({ ...scene, drawn: [drawn] }, by > 0 ? scene.left : scene.right, NaN), 0)?.index ?? last;
  else {
    const from = "key" in old ? old.index : hitsAt({ ...scene, drawn: [drawn] }, old.px, old.py)[0]?.index;
    index = along(drawn, from ?? last, by);
  }
  cursor.value = { key: drawn.track.key, index };
  return true;
}

function xOf(scene: Scene, cursor: Cursor | null): number | null {
  if (cursor === null) return null;
  if (!("key" in cursor)) return scene.x.invert(cursor.px);
  return scene.drawn.find(({ track }) => track.key === cursor.key)?.line.xs.at(cursor.index) ?? null;
}

function centre(scene: Scene, cursor: Cursor | null): number {
  return xOf(scene, cursor) ?? (scene.view[0] + scene.view[1]) / 2;
}

/** A zoomed chart follows the crosshair that walks out of it. */
function keepInSight(scene: Scene, cursor: Cursor | null, onZoom: (zoom: Span | null) => void): void {
  const x = xOf(scene, cursor);
  const [from, to] = scene.view;
  if (x === null || (x >= from && x <= to)) return;
  onZoom(pan(scene.view, scene.all, (x < from ? x - from - (to - from) / 10 : x - to + (to - from) / 10) / (to - from)));
}

function wheelZoom(box: HTMLElement, now: { current: { scene: Scene | null; onZoom: (zoom: Span | null) => void } }): () => void {
  let elsewhere = -Infinity;
  const passing = (event: WheelEvent): void => {
    if (!event.defaultPrevented) elsewhere = event.timeStamp;
  };
  const turn = (event: WheelEvent): void => {
    const { scene, onZoom } = now.current;
    if (scene === null || (event.timeStamp - elsewhere < CHAIN_MS && !event.ctrlKey)) return;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const whole = scene.view[1] - scene.view[0] >= scene.all[1] - scene.all[0];
    // Nothing left to zoom out of, or to pan to: the turn is the page's.
    if (whole && (sideways || event.deltaY > 0)) return;
    event.preventDefault();
    const pixels = (sideways ? event.deltaX || event.deltaY : event.deltaY) * (event.deltaMode === 1 ? 16 : 1);
    if (sideways) return onZoom(pan(scene.view, scene.all, pixels / (scene.right - scene.left)));
    const center = scene.x.invert(clamp(event.clientX - box.getBoundingClientRect().left, scene));
    onZoom(zoomAround(scene.view, scene.all, center, Math.exp(pixels * WHEEL * (event.ctrlKey ? 4 : 1))));
  };
  box.addEventListener("wheel", turn, { passive: false });
  addEventListener("wheel", passing, { passive: true });
  return () => {
    box.removeEventListener("wheel", turn);
    removeEventListener("wheel", passing);
  };
}
