/** Pointer, wheel, touch and keyboard input of a chart: the cursor, brushing and zoom. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Cursor, hitsAt, type Line, type Scene } from "./scene";
import { nearest } from "./series";
import type { Span } from "./settings";

/** The shortest range, as a part of the whole: a hundred thousandth still separates neighbours of any run. */
const CLOSEST = 1e-5;

/**
 * The range zoomed by `factor` (below 1 is closer), with `center` at a fraction of it: where it is now, unless given. Null:
 * everything is visible again.
 */
export function zoomed(
  { x, fullRange }: Pick<Scene, "x" | "fullRange">,
  center: number,
  factor: number,
  part = (center - x.from) / (x.to - x.from),
): Span | null {
  const full = fullRange[1] - fullRange[0];
  const size = Math.max(full * CLOSEST, (x.to - x.from) * factor);
  return size < full ? inside(center - part * size, size, fullRange) : null;
}

/** The range moved by a part of itself; stops at the ends. */
export function panned({ x, fullRange }: Pick<Scene, "x" | "fullRange">, part: number): Span {
  const size = x.to - x.from;
  return inside(x.from + size * part, size, fullRange);
}

function inside(from: number, size: number, [low, high]: Span): Span {
  return from < low ? [low, low + size] : from + size > high ? [high - size, high] : [from, from + size];
}

export interface ChartInput {
  brush: Signal<Span | null>;
  handlers: Record<string, (event: never) => void>;
}

const CLICK_PX = 4;
const WHEEL = 0.0022;
/** A turn this soon after one outside the chart continues it: the user is scrolling past the chart. */
const CHAIN_MS = 350;
/** Smallest distance between two fingers that counts, in pixels. */
const FINGERS_PX = 24;

export function useChartInput(
  box: { current: HTMLElement | null },
  current: Scene | null,
  onZoom: (zoom: Span | null) => void,
  cursor: Signal<Cursor | null>,
): ChartInput {
  const brush = useSignal<Span | null>(null);
  const state = useRef({
    /** Where a drag began, in pixels. */
    start: null as number | null,
    touching: new Set<number>(),
    /** The cursor before a touch, restored if the touch becomes a scroll of the page. */
    before: null as Cursor | null,
    pinch: null as { scene: Scene; center: number; spread: number } | null,
    scrolledAt: -Infinity,
  }).current;

  useEffect(() => {
    // After a tap, the crosshair stays until the user touches something else.
    const press = (event: Event): void => {
      if (!box.current!.contains(event.target as Node)) cursor.value = null;
    };
    const turn = (event: WheelEvent): void => {
      if (!event.defaultPrevented) state.scrolledAt = event.timeStamp;
    };
    addEventListener("pointerdown", press);
    addEventListener("wheel", turn, { passive: true });
    return () => {
      removeEventListener("pointerdown", press);
      removeEventListener("wheel", turn);
    };
  }, []);
  if (current === null) return { brush, handlers: {} };
  const scene = current;
  const { left, right, height, x } = scene;

  const clamp = (px: number): number => Math.min(right, Math.max(left, px));
  const pxOf = ({ clientX }: { clientX: number }): number =>
    clientX - box.current!.getBoundingClientRect().left;
  const read = (event: PointerEvent): number => {
    const px = pxOf(event);
    const py = event.clientY - box.current!.getBoundingClientRect().top;
    cursor.value =
      px < left - 12 || px > right + 12 || py > height || state.touching.size > 1
        ? null
        : { x: x.invert(clamp(px)), py };
    return px;
  };
  const drop = (): void => {
    state.start = brush.value = null;
  };
  const fingers = ({ touches: [a, b] }: TouchEvent) => ({
    middle: pxOf({ clientX: (a!.clientX + b!.clientX) / 2 }),
    spread: Math.max(FINGERS_PX, Math.hypot(a!.clientX - b!.clientX, a!.clientY - b!.clientY)),
  });
  const handlers = {
    onPointerDown(event: PointerEvent) {
      const touch = event.pointerType === "touch";
      if (touch) state.touching.add(event.pointerId);
      if (event.button !== 0 || (event.target as Element).closest("a")) return;
      state.before = cursor.peek();
      const px = read(event);
      if (touch) return;
      state.start = px;
      box.current!.setPointerCapture(event.pointerId);
    },
    onPointerMove(event: PointerEvent) {
      const px = read(event);
      const { start } = state;
      brush.value = start === null || Math.abs(px - start) < CLICK_PX ? null : [clamp(start), clamp(px)];
    },
    onPointerUp(event: PointerEvent) {
      state.touching.delete(event.pointerId);
      const ends = brush
        .peek()
        ?.map(x.invert)
        .sort((a, b) => a - b);
      drop();
      if (ends)
        onZoom(zoomed(scene, (ends[0]! + ends[1]!) / 2, (ends[1]! - ends[0]!) / (x.to - x.from), 0.5));
    },
    onPointerCancel(event: PointerEvent) {
      state.touching.delete(event.pointerId);
      drop();
      if (event.pointerType === "touch") cursor.value = state.before;
    },
    onPointerLeave(event: PointerEvent) {
      if (state.start === null && event.pointerType !== "touch") cursor.value = null;
    },
    onDblClick: () => onZoom(null),
    onBlur() {
      cursor.value = null;
    },
    /** Zooms around the pointer and pans sideways. If there is nothing to zoom out of or pan to, the page scrolls. */
    onWheel(event: WheelEvent) {
      if (event.timeStamp - state.scrolledAt < CHAIN_MS && !event.ctrlKey) return;
      const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const isFull = x.to - x.from >= scene.fullRange[1] - scene.fullRange[0];
      if (isFull && (sideways || event.deltaY > 0)) return;
      event.preventDefault();
      const delta = sideways ? event.deltaX || event.deltaY : event.deltaY;
      const pixels = delta * (event.deltaMode === 1 ? 16 : 1);
      if (sideways) {
        cursor.value = null; // the pointer is over another step now
        return onZoom(panned(scene, pixels / (right - left)));
      }
      const factor = Math.exp(pixels * WHEEL * (event.ctrlKey ? 4 : 1));
      onZoom(zoomed(scene, x.invert(clamp(pxOf(event))), factor));
    },
    /** Two fingers stay on their points, as on a map. */
    onTouchStart(event: TouchEvent) {
      state.pinch = null;
      if (event.touches.length !== 2) return;
      if (event.cancelable) event.preventDefault();
      const { middle, spread } = fingers(event);
      state.pinch = { scene, center: x.invert(middle), spread };
    },
    onTouchMove(event: TouchEvent) {
      if (state.pinch === null || event.touches.length !== 2) return;
      if (event.cancelable) event.preventDefault();
      const { middle, spread } = fingers(event);
      const { scene: first, center, spread: before } = state.pinch;
      onZoom(zoomed(first, center, before / spread, (middle - left) / (right - left)));
    },
    onKeyDown(event: KeyboardEvent) {
      const { key, ctrlKey, metaKey, altKey, shiftKey, target } = event;
      if (ctrlKey || metaKey || altKey || (target as Element).closest("a")) return;
      if (key === "Escape") {
        if (cursor.peek() === null && state.start === null) return;
        cursor.value = null;
        drop();
      } else if (!handleKey(key, shiftKey ? 10 : 1, scene, cursor, onZoom)) return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  return { brush, handlers };
}

const POINTS: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
const CURVES: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
const ZOOMS: Record<string, number> = { "+": 0.6, "=": 0.6, "-": 1 / 0.6, _: 1 / 0.6 };

/** True if the chart has used the key. */
function handleKey(
  key: string,
  times: number,
  scene: Scene,
  cursor: Signal<Cursor | null>,
  onZoom: (zoom: Span | null) => void,
): boolean {
  const { from, to } = scene.x;
  const old = cursor.peek();
  const next = key in POINTS || key in CURVES ? moved(key, times, scene, old) : null;
  if (next) {
    cursor.value = next;
    // A zoomed chart follows its cursor.
    const beyond = Math.min(0, next.x - from) || Math.max(0, next.x - to);
    if (beyond !== 0) onZoom(panned(scene, beyond / (to - from) + Math.sign(beyond) / 10));
  } else if (key in ZOOMS) onZoom(zoomed(scene, old?.x ?? (from + to) / 2, ZOOMS[key]!));
  else if (key === "0") onZoom(null);
  else return false;
  return true;
}

/** The cursor on the next point, or on the next curve at the point nearest in x; null if there is none. */
function moved(key: string, times: number, scene: Scene, old: Cursor | null): Cursor | null {
  const lines = scene.lines.filter((line) => Number.isFinite(line.ys[stepAlong(line, -1, 1)]));
  const chosen = lines.findIndex(({ track }) => old && "key" in old && track.key === old.key);
  const by = POINTS[key] ?? 1;
  const line = lines[Math.max(0, chosen) + (old ? (CURVES[key] ?? 0) : 0)];
  if (!line) return null;
  const { xs, track } = line;
  const at = old?.x ?? (by > 0 ? scene.x.from : scene.x.to);
  const hits = hitsAt({ ...scene, lines: [line] }, old ?? { x: at, py: NaN });
  let index = hits[0]?.index ?? nearest(xs, at);
  if (!Number.isFinite(by)) index = by < 0 ? stepAlong(line, -1, 1) : stepAlong(line, xs.length, -1);
  else if (old && key in POINTS)
    index = stepAlong(line, old && "key" in old ? nearest(xs, at) : index, by * times);
  return { key: track.key, x: xs[index]! };
}

/** The point `by` positions from `index`, skipping gaps and further values of the same x; stops at the ends. */
export function stepAlong({ xs, ys }: Pick<Line, "xs" | "ys">, index: number, by: number): number {
  const step = Math.sign(by);
  let at = index;
  for (let remaining = Math.abs(by); remaining > 0; remaining--) {
    let next = at + step;
    while (next >= 0 && next < xs.length && (!Number.isFinite(ys[next]) || xs[next] === xs[at])) next += step;
    if (next < 0 || next >= xs.length) break;
    at = next;
  }
  return at;
}
