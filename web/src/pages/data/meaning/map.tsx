/** A map of rows: the first two principal components of their embeddings. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { RowMap } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { DIRECTIONS, neighbour } from "./meaning";

const HEIGHT = 260;
const EDGE = 10;
const DOT = 2.5;
const NEAR = 14;
/** Groups beyond these share the last colour. */
const COLOURS = 8;

interface Props {
  map: RowMap;
  chosen: number;
  titles: readonly string[];
  choose: (row: number) => void;
}

export function RowsMap({ map, chosen, titles, choose }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const box = canvas.current!.parentElement!;
    const observer = new ResizeObserver(() => setWidth(box.clientWidth));
    observer.observe(box);
    const redraw = (): void => setTheme((count) => count + 1);
    const themes = new MutationObserver(redraw);
    themes.observe(document.documentElement, { attributes: true });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", redraw);
    return () => {
      observer.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", redraw);
    };
  }, []);
  const at = Math.max(0, map.rows.indexOf(chosen));
  const placeOf = (point: number): [number, number] => [
    EDGE + ((map.x[point]! + 1) / 2) * (width - 2 * EDGE),
    EDGE + ((1 - map.y[point]!) / 2) * (HEIGHT - 2 * EDGE),
  ];
  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || width === 0) return;
    const scale = window.devicePixelRatio;
    element.width = Math.round(width * scale);
    element.height = Math.round(HEIGHT * scale);
    pen.scale(scale, scale);
    const style = getComputedStyle(element);
    const colours = Array.from({ length: COLOURS }, (_, group) =>
      style.getPropertyValue(`--meaning-${group}`).trim(),
    );
    pen.globalAlpha = 0.75;
    for (let point = 0; point < map.rows.length; point += 1) {
      const group = map.groups[point]!;
      pen.fillStyle = group < 0 ? style.color : colours[group % COLOURS]!;
      pen.beginPath();
      pen.arc(...placeOf(point), DOT, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = style.outlineColor;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(...placeOf(at), 2 * DOT + 2, 0, 2 * Math.PI);
    pen.stroke();
  }, [map, at, width, theme]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!Object.hasOwn(DIRECTIONS, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = neighbour(map, at, event.key);
    if (next >= 0) choose(map.rows[next]!);
  };
  const onClick = (event: MouseEvent): void => {
    const box = canvas.current!.getBoundingClientRect();
    let [best, least] = [-1, NEAR * NEAR];
    for (let point = 0; point < map.rows.length; point += 1) {
      const [x, y] = placeOf(point);
      const distance = (x + box.left - event.clientX) ** 2 + (y + box.top - event.clientY) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    if (best >= 0) choose(map.rows[best]!);
  };
  const group = map.groups[at]!;
  return (
    <div class="meaning-map">
      <h3>Map</h3>
      <div
        class="meaning-canvas"
        role="group"
        tabIndex={0}
        aria-label="Map of rows; arrow keys go to the nearest row in that direction"
        onKeyDown={onKeyDown}
        onClick={onClick}
      >
        <canvas ref={canvas} aria-hidden="true" />
      </div>
      <p class="hint" role="status">
        Row {number(map.rows[at]!)}
        {group >= 0 ? ` · ${titles[group] ?? ""}` : ""}. The first two principal components: rows that are
        apart here differ, rows that are near each other may still differ in others.
      </p>
    </div>
  );
}
