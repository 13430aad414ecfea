/** The loss chart: an SVG whose shapes all come from `scene.ts`. */
import { type Signal, useSignal } from "@preact/signals";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Checkpoint } from "../events/run";
import { plural } from "../lib/format";
import { smallLetters } from "../ui/text-size";
import { useChartInput } from "./input";
import { type Cursor, type Line, type Scene, sceneOf } from "./scene";
import { type Track, useSeries } from "./series";
import type { Settings, Span } from "./settings";
import { type Tick, textAnchor } from "./ticks";
import { Tooltip } from "./tooltip";
import "./chart.css";

/** What a chart shows at the moment, for the components beside it. */
export interface Shown {
  scene: Signal<Scene | null>;
  cursor: Signal<Cursor | null>;
  svg: { current: SVGSVGElement | null };
}

export function useShown(): Shown {
  const scene = useSignal<Scene | null>(null);
  const cursor = useSignal<Cursor | null>(null);
  return { scene, cursor, svg: useRef<SVGSVGElement>(null) };
}

interface Props {
  /** Description for screen readers. */
  label: string;
  tracks: readonly Track[];
  settings: Settings;
  onZoom: (zoom: Span | null) => void;
  checkpoints?: readonly Checkpoint[];
  checkpointHref?: (step: number) => string;
  until?: number | undefined;
  height?: number;
  shown?: Shown;
  /** What to show before the first point. */
  empty: string;
}

export function Chart(props: Props) {
  const {
    label,
    tracks,
    settings,
    onZoom,
    checkpoints = [],
    checkpointHref,
    until,
    height = 340,
    empty,
  } = props;
  const own = useShown();
  const { scene: shown, cursor, svg } = props.shown ?? own;
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const all = useSeries(tracks, settings, until);
  const letters = smallLetters.value;
  const scene = width === 0 ? null : sceneOf({ all, settings, width, height, letters, checkpoints, until });
  // Without points and an expected number of steps there are no axes.
  const bare = scene?.emptyReason === "" && until === undefined;
  const input = useChartInput(box, bare ? null : scene, onZoom, cursor);
  useLayoutEffect(() => {
    shown.value = scene;
  });
  if (bare)
    return (
      <div ref={box} class="chart-none">
        <p>{empty}</p>
      </div>
    );
  const points = all.reduce((sum, { xs }) => sum + xs.length, 0);
  return (
    <div
      ref={box}
      class="chart"
      style={{ height: `${height}px` }}
      tabIndex={0}
      role="application"
      aria-roledescription="chart"
      aria-label={`${label}: ${plural(points, "point")}. Left and right read the points, up and down change the curve, plus and minus zoom, 0 shows all.`}
      {...input.handlers}
    >
      {scene && (
        <>
          <Plot scene={scene} href={checkpointHref} svg={svg} />
          {scene.emptyReason !== null && <p class="chart-empty">{scene.emptyReason || empty}</p>}
          <Tooltip scene={scene} cursor={cursor} brush={input.brush} smooth={settings.smooth !== 0} />
        </>
      )}
    </div>
  );
}

/** The width of the last chart: likely that of the next one, which is then drawn at once. */
let expectedWidth = 0;

function useWidth(box: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(expectedWidth);
  useLayoutEffect(() => {
    const node = box.current!;
    // The observer's first call precedes the paint, so a wrong guess is never visible.
    const observer = new ResizeObserver(() => setWidth((expectedWidth = Math.round(node.clientWidth))));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  return width;
}

const DOT = 3;

function Plot({ scene, href, svg }: { scene: Scene; href: Props["checkpointHref"]; svg: Shown["svg"] }) {
  const clip = useId();
  const { width, height, letters, left, right, top, bottom, lines, gaps, marks } = scene;
  return (
    // A browser's minimum font size does not apply inside an SVG by itself.
    <svg
      ref={svg}
      class="chart-svg"
      width={width}
      height={height}
      font-size={12 * letters}
      viewBox={`0 0 ${width} ${height}`}
      aria-hidden={marks.length === 0}
    >
      <clipPath id={clip}>
        {/* With room for half a dot at every edge. */}
        <rect x={left - DOT} y={0} width={Math.max(0, right - left) + 2 * DOT} height={bottom + DOT} />
      </clipPath>
      <Grid scene={scene} />
      <g clip-path={`url(#${clip})`}>
        <path class="chart-gap" d={gaps.map((x) => `M${x} ${top}V${bottom}`).join("")} />
        {lines.map(({ track, faint }) => (
          <g key={track.key} class="chart-faint" style={{ stroke: `var(${track.tone})` }}>
            <path class="chart-raw" d={faint.d} />
            <path class="chart-dots" d={faint.dots} />
          </g>
        ))}
        {lines.toReversed().map(curve)}
      </g>
      {marks.map(({ step, x }) => (
        <a
          key={step}
          class="chart-mark"
          {...(href ? { href: href(step) } : {})}
          aria-label={`Checkpoint at step ${step}, open in Playground`}
        >
          <title>{`Checkpoint at step ${step}: open in Playground`}</title>
          <rect x={x - 10} y={bottom - 8} width={20} height={24} />
          <path d={`M${x} ${bottom - 5}l4 5-4 5-4-5z`} />
        </a>
      ))}
    </svg>
  );
}

function curve({ track, main }: Line) {
  const { key, metric, tone, dash } = track;
  return (
    <g key={key} style={{ stroke: `var(${tone})` }}>
      <path
        class={metric === "lr" ? "chart-curve chart-thin" : "chart-curve"}
        d={main.d}
        stroke-dasharray={dash}
      />
      <path class="chart-dots" d={main.dots} />
    </g>
  );
}

function Grid({ scene }: { scene: Scene }) {
  const { x, y, side, left, right, bottom, width, letters } = scene;
  const label = ({ label, value }: Tick, x: number, y: number, anchor: string) => (
    <text key={value} class="chart-tick" x={x} y={y} text-anchor={anchor}>
      {label}
    </text>
  );
  const horizontal = scene.yTicks.map(({ value }) => `M0 ${pixelCenter(y.map(value))}H${width}`).join("");
  const vertical = scene.xTicks.map(({ value }) => `M${pixelCenter(x.map(value))} ${bottom}v4`).join("");
  return (
    <g>
      <path class="chart-grid" d={horizontal} />
      <path class="chart-axis" d={`M0 ${pixelCenter(bottom)}H${width}${vertical}`} />
      {scene.yTicks.map((tick) => label(tick, left - 10, y.map(tick.value) - 4, "end"))}
      {scene.sideTicks.map((tick) => label(tick, right + 8, side!.map(tick.value) - 4, "start"))}
      {scene.xTicks.map((tick) => {
        const px = x.map(tick.value);
        return label(tick, px, bottom + 20 * letters, textAnchor(px, tick.label, width, letters));
      })}
    </g>
  );
}

function pixelCenter(pixel: number): number {
  return Math.round(pixel) + 0.5;
}
