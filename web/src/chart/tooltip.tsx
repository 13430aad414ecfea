/** Crosshair, tooltip and zoom brush, drawn over the chart, so that moving the pointer redraws nothing else. */
import { useEffect } from "preact/hooks";
import { clock, loss, number, rate } from "../lib/format";
import { announce } from "../ui/controls/live";
import { closestHit, type Hit, hitOf, hitsAt, nearestHits } from "./geometry/hit-test";
import type { Scene } from "./geometry/scene";
import type { Settings } from "./geometry/settings";
import { elapsed } from "./geometry/ticks";
import type { Cursor } from "./input/cursor";
import type { ChartInput } from "./input/use-chart-input";
import { Swatch } from "./swatch";

const BESIDE = 14;
/** Line height of the readout, and the width from which a row fits on one line, at the usual font size. */
const LINE = 18;
const ROW_WIDTH = 350;

interface Props {
  scene: Scene;
  input: ChartInput;
  settings: Settings;
}

export function Tooltip({ scene, input, settings }: Props) {
  const cursor = input.cursor.value;
  const brush = input.brush.value;
  const { hits, here, at } = hitsAtCursor(scene, cursor);
  const chosen = cursor !== null && "key" in cursor && here ? announcement(here, hits) : "";
  useEffect(() => {
    if (chosen) announce(chosen);
  }, [chosen]);
  const { width, height, top, bottom } = scene;
  return (
    <>
      <svg class="chart-over" width={width} height={height} aria-hidden="true">
        {brush && (
          <rect
            class="chart-brush"
            x={Math.min(...brush)}
            y={top}
            width={Math.abs(brush[1] - brush[0])}
            height={bottom - top}
          />
        )}
        {here && <path class="chart-cross" d={`M${Math.round(here.px) + 0.5} ${top}V${bottom}`} />}
        {hits.map((hit) => Number.isFinite(hit.py) && <Dot key={hit.drawn.track.key} hit={hit} />)}
      </svg>
      {here && !brush && (
        <TooltipBox scene={scene} hits={hits} here={here} at={at} smooth={settings.smooth !== 0} />
      )}
    </>
  );
}

/** `at`: the height of the cursor, in pixels. */
function hitsAtCursor(
  scene: Scene,
  cursor: Cursor | null,
): { hits: Hit[]; here: Hit | undefined; at: number } {
  const none = { hits: [], here: undefined, at: 0 };
  if (cursor === null) return none;
  if (!("key" in cursor)) {
    const hits = hitsAt(scene, cursor.px, cursor.py);
    return { hits, here: closestHit(hits, cursor.px), at: cursor.py };
  }
  const drawn = scene.drawn.find(({ track }) => track.key === cursor.key);
  // A run resumed from a checkpoint may have fewer points than before.
  if (drawn === undefined || cursor.index >= drawn.series.xs.length) return none;
  const here = hitOf(drawn, scene, cursor.index);
  return {
    here,
    hits: hitsAt(scene, here.px, NaN).map((hit) => (hit.drawn === drawn ? here : hit)),
    at: here.py,
  };
}

function Dot({ hit }: { hit: Hit }) {
  return (
    <circle
      class="chart-dot"
      cx={hit.px}
      cy={hit.py}
      r={3.5}
      style={{ fill: `var(${hit.drawn.track.tone})` }}
    />
  );
}

/** Placed next to the crosshair, on the side with more room, so that it never covers its point. */
function TooltipBox({
  scene,
  hits,
  here,
  at,
  smooth,
}: {
  scene: Scene;
  hits: readonly Hit[];
  here: Hit;
  at: number;
  smooth: boolean;
}) {
  const onLeft = here.px > (scene.left + scene.right) / 2;
  const room = (onLeft ? here.px : scene.width - here.px) - BESIDE;
  const position = onLeft
    ? { right: `${scene.width - here.px + BESIDE}px` }
    : { left: `${here.px + BESIDE}px` };
  // A row may take two lines if it is narrow; the head and the omitted rows take three more.
  const narrow = room < ROW_WIDTH * scene.letters;
  const most =
    Math.floor((scene.bottom - scene.top) / (LINE * scene.letters) / (narrow ? 2 : 1)) - (narrow ? 2 : 3);
  const { listed, more } = nearestHits(hits, at, most);
  return (
    <div class="chart-readout num" style={{ top: `${scene.top}px`, maxWidth: `${room}px`, ...position }}>
      <div class="chart-readout-head">{positionWords(here).join(" · ")}</div>
      {listed.map((hit) => (
        <div key={hit.drawn.track.key} class="chart-readout-row">
          <Swatch {...hit.drawn.track} />
          <span class="chart-readout-label">{hit.drawn.track.label}</span>
          <b>{valueText(hit)}</b>
          <span class="chart-readout-note">{detailOf(hit, here, smooth)}</span>
        </div>
      ))}
      {more > 0 && <div class="chart-readout-note">+{more} more</div>}
    </div>
  );
}

function valueText({ drawn, value }: Hit): string {
  if (!Number.isFinite(value)) return "no number";
  return drawn.track.metric === "lr" ? rate(value) : loss(value);
}

/** The smoothed value, or the point's own step if that differs from the crosshair's. */
function detailOf(hit: Hit, here: Hit, smooth: boolean): string {
  if (hit.x !== here.x) return `at step ${stepWords(hit)}`;
  return smooth && hit.drawn.series.smoothed && Number.isFinite(hit.smooth) ? `avg ${loss(hit.smooth)}` : "";
}

/** The step in the axis's notation. */
const stepWords = ({ drawn: { track }, row }: Hit): string =>
  number(track.rows.step.at(row) + (track.shift ?? 0));

function positionWords(hit: Hit): string[] {
  const { drawn, row } = hit;
  const { track } = drawn;
  const { epoch, time } = track.rows;
  const parts = [`step ${stepWords(hit)}`];
  if (Number.isFinite(epoch.at(row))) parts.push(`epoch ${epoch.at(row).toFixed(2)}`);
  if (Number.isFinite(time.at(row))) {
    if (Number.isFinite(track.origin)) parts.push(elapsed(time.at(row) - track.origin));
    parts.push(clock(time.at(row)));
  }
  return parts;
}

/** Text for screen readers: the selected curve first, then the others. */
function announcement(here: Hit, hits: readonly Hit[]): string {
  const words = [here, ...hits.filter((hit) => hit !== here)].map((hit) =>
    [hit.drawn.track.label, valueText(hit), detailOf(hit, here, false)].join(" ").trim(),
  );
  return [positionWords(here)[0], ...words].join(", ");
}
