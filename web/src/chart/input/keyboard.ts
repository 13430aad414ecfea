/** Keyboard control of a chart: a crosshair that moves between points and curves, and the zoom. */
import type { Signal } from "@preact/signals";
import { closestHit, hitsAt, pointNear, stepAlong } from "../geometry/hit-test";
import type { DrawnSeries, Scene } from "../geometry/scene";
import { pan, type Span, zoomAround } from "../geometry/zoom-range";
import type { Cursor } from "./cursor";

type Zoom = (zoom: Span | null) => void;

/** True if the chart has used the key. */
export function handleKey(
  key: string,
  shift: boolean,
  scene: Scene,
  cursor: Signal<Cursor | null>,
  onZoom: Zoom,
): boolean {
  const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[key];
  const line = { ArrowDown: 1, ArrowUp: -1 }[key];
  const next =
    step !== undefined
      ? moveAlong(scene, cursor.peek(), shift ? step * 10 : step)
      : line !== undefined
        ? changeSeries(scene, cursor.peek(), line)
        : undefined;
  if (next) {
    cursor.value = next;
    keepVisible(scene, next, onZoom);
    return true;
  }
  const factor = { "+": 0.6, "=": 0.6, "-": 1 / 0.6, _: 1 / 0.6 }[key];
  if (factor !== undefined)
    onZoom(zoomAround(scene.visibleRange, scene.fullRange, zoomCenter(scene, cursor.peek()), factor));
  else if (key === "0") onZoom(null);
  else return false;
  return true;
}

/** The series with a point for the cursor. */
function seriesWithPoints(scene: Scene): DrawnSeries[] {
  return scene.drawn.filter((drawn) => Number.isFinite(drawn.series.ys.at(stepAlong(drawn, -1, 1))));
}

/** The cursor's series; initially the first one with points. */
function currentSeries(scene: Scene, cursor: Cursor | null): DrawnSeries | undefined {
  const drawn = seriesWithPoints(scene);
  return (
    drawn.find(({ track }) => cursor !== null && "key" in cursor && track.key === cursor.key) ?? drawn[0]
  );
}

/** Moves the cursor along its series. */
function moveAlong(scene: Scene, old: Cursor | null, by: number): Cursor | undefined {
  const drawn = currentSeries(scene, old);
  if (drawn === undefined) return undefined;
  const { length } = drawn.series.xs;
  const only = { ...scene, drawn: [drawn] };
  let index: number | undefined;
  if (!Number.isFinite(by)) index = by < 0 ? stepAlong(drawn, -1, 1) : stepAlong(drawn, length, -1);
  else if (old === null) index = closestHit(hitsAt(only, by > 0 ? scene.left : scene.right, NaN), 0)?.index;
  else {
    const from = "key" in old ? old.index : hitsAt(only, old.px, old.py)[0]?.index;
    index = stepAlong(drawn, Math.min(length - 1, from ?? length - 1), by);
  }
  return { key: drawn.track.key, index: index ?? length - 1 };
}

/** Moves the cursor to the next series, to the point nearest in x. */
function changeSeries(scene: Scene, old: Cursor | null, by: number): Cursor | undefined {
  const drawn = seriesWithPoints(scene);
  const at = drawn.indexOf(currentSeries(scene, old)!);
  if (old === null) return moveAlong(scene, old, 1);
  const next = drawn[at + by];
  return (
    next && { key: next.track.key, index: pointNear(next.series, xOf(scene, old) ?? scene.visibleRange[0]) }
  );
}

function xOf(scene: Scene, cursor: Cursor | null): number | null {
  if (cursor === null) return null;
  if (!("key" in cursor)) return scene.x.invert(cursor.px);
  return scene.drawn.find(({ track }) => track.key === cursor.key)?.series.xs.at(cursor.index) ?? null;
}

function zoomCenter(scene: Scene, cursor: Cursor | null): number {
  return xOf(scene, cursor) ?? (scene.visibleRange[0] + scene.visibleRange[1]) / 2;
}

/** Pans a zoomed chart when the cursor has left its visible range. */
function keepVisible(scene: Scene, cursor: Cursor, onZoom: Zoom): void {
  const x = xOf(scene, cursor);
  const [from, to] = scene.visibleRange;
  if (x === null || (x >= from && x <= to)) return;
  onZoom(
    pan(
      scene.visibleRange,
      scene.fullRange,
      (x < from ? x - from - (to - from) / 10 : x - to + (to - from) / 10) / (to - from),
    ),
  );
}
