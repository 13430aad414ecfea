/** The loss chart: an SVG whose shapes all come from `scene.ts`. */
import type { Signal } from "@preact/signals";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Checkpoint } from "../events/run";
import { plural } from "../lib/format";
import { smallLetters } from "../ui/text-size";
import { dotsPath, type Scene, sceneOf } from "./geometry/scene";
import type { Settings } from "./geometry/settings";
import { textAnchor } from "./geometry/ticks";
import type { Track } from "./geometry/track";
import type { Span } from "./geometry/zoom-range";
import type { Cursor } from "./input/cursor";
import { useChartInput } from "./input/use-chart-input";
import { Tooltip } from "./tooltip";
import { useSeries } from "./use-series";
import "./chart.css";

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
  /** Called with each drawn scene, for exports and statistics. */
  onScene?: (scene: Scene) => void;
  /** The crosshair's position, if other charts share it. */
  cursor?: Signal<Cursor | null>;
  /** What to show before the first point. */
  empty: string;
}

const DOT = 3;
const NONE: readonly Checkpoint[] = [];

export function Chart({
  label,
  tracks,
  settings,
  onZoom,
  checkpoints = NONE,
  checkpointHref,
  until,
  height = 340,
  onScene,
  cursor,
  empty,
}: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const lines = useSeries(
    tracks.filter(({ key }) => !settings.hidden.includes(key)),
    settings,
    until,
  );
  const scene =
    width === 0
      ? null
      : sceneOf({
          lines,
          settings,
          width,
          height,
          letters: smallLetters.value,
          checkpoints,
          ...(until === undefined ? {} : { until }),
        });
  // Without points and an expected number of steps there are no axes.
  const bare = scene?.emptyReason === "" && until === undefined;
  const input = useChartInput(box, bare ? null : scene, onZoom, cursor);
  useLayoutEffect(() => {
    if (scene) onScene?.(scene);
  });
  const points = lines.reduce((sum, { series }) => sum + series.xs.length, 0);
  if (bare) {
    return (
      <div ref={box} class="chart-none">
        <p>{empty}</p>
      </div>
    );
  }
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
      {scene && <Plot scene={scene} href={checkpointHref} />}
      {scene && scene.emptyReason !== null && <p class="chart-empty">{scene.emptyReason || empty}</p>}
      {scene && <Tooltip scene={scene} input={input} settings={settings} />}
    </div>
  );
}

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

/**
 * The expected width of a chart: the last one's, or the page's column. Measuring the element would force a second
 * layout of the whole page before the first paint.
 */
let expectedWidth = columnWidth();

function columnWidth(): number {
  const root = document.documentElement;
  const style = getComputedStyle(root);
  const token = (name: string): number => Number.parseFloat(style.getPropertyValue(name)) || 0;
  const page = token("--page") * Number.parseFloat(style.fontSize);
  return Math.round(Math.min(page, root.clientWidth) - 2 * token("--gutter"));
}

function Plot({ scene, href }: { scene: Scene; href: Props["checkpointHref"] }) {
  const clip = useId();
  const { width, height, letters, left, right, top, bottom } = scene;
  return (
    // A browser's minimum font size does not apply inside an SVG by itself.
    <svg
      class="chart-svg"
      width={width}
      height={height}
      font-size={12 * letters}
      viewBox={`0 0 ${width} ${height}`}
      aria-hidden={scene.marks.length === 0}
    >
      <clipPath id={clip}>
        {/* With room for half a dot at every edge. */}
        <rect x={left - DOT} y={0} width={Math.max(0, right - left) + 2 * DOT} height={bottom + DOT} />
      </clipPath>
      <Grid scene={scene} />
      <g clip-path={`url(#${clip})`}>
        <path class="chart-gap" d={scene.gaps.map((x) => `M${x} ${top}V${bottom}`).join("")} />
        {scene.drawn.map(
          ({ track, raw }) =>
            raw && (
              <g key={track.key} class="chart-faint" style={{ stroke: `var(${track.tone})` }}>
                <path class="chart-raw" d={raw.d} />
                <path class="chart-dots" d={dotsPath(raw.dots)} />
              </g>
            ),
        )}
        {scene.drawn.toReversed().map((drawn) => (
          <Curve key={drawn.track.key} drawn={drawn} />
        ))}
      </g>
      {scene.marks.map(({ step, x }) => (
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

function Grid({ scene }: { scene: Scene }) {
  const { x, y, side, left, right, bottom, width, letters } = scene;
  return (
    <g>
      {scene.yTicks.map(({ value, label }) => (
        <g key={value}>
          <path class="chart-grid" d={`M0 ${pixelCenter(y.map(value))}H${width}`} />
          <text class="chart-tick" x={left - 10} y={y.map(value) - 4} text-anchor="end">
            {label}
          </text>
        </g>
      ))}
      {side &&
        scene.sideTicks.map(({ value, label }) => (
          <text key={value} class="chart-tick" x={right + 8} y={side.map(value) - 4}>
            {label}
          </text>
        ))}
      <path class="chart-axis" d={`M0 ${pixelCenter(bottom)}H${width}`} />
      {scene.xTicks.map(({ value, label }) => (
        <g key={value}>
          <path class="chart-axis" d={`M${pixelCenter(x.map(value))} ${bottom}v4`} />
          <text
            class="chart-tick"
            x={x.map(value)}
            y={bottom + 20 * letters}
            text-anchor={textAnchor(x.map(value), label, width, letters)}
          >
            {label}
          </text>
        </g>
      ))}
    </g>
  );
}

function pixelCenter(pixel: number): number {
  return Math.round(pixel) + 0.5;
}

function Curve({ drawn: { track, main, points } }: { drawn: Scene["drawn"][number] }) {
  const tone = { stroke: `var(${track.tone})` };
  const dots = points.length > 0 && track.metric.startsWith("eval") ? points : main.dots;
  return (
    <g>
      <path
        class={track.metric === "lr" ? "chart-curve chart-thin" : "chart-curve"}
        d={main.d}
        style={tone}
        stroke-dasharray={track.dash}
      />
      <path class="chart-dots" d={dotsPath(dots)} style={tone} />
    </g>
  );
}
