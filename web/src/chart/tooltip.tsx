/** Crosshair, tooltip and zoom brush, drawn over the chart, so that moving the pointer redraws nothing else. */
import type { Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { clock, loss, number, rate } from "../lib/format";
import { announce } from "../ui/controls/live";
import { type Cursor, closestHit, type Hit, hitsAt, type Scene } from "./scene";
import type { Span } from "./settings";
import { Swatch } from "./swatch";
import { elapsed } from "./ticks";

const BESIDE = 14;
/** Line height of the readout, and the width from which a row fits on one line, at the usual font size. */
const LINE = 18;
const ROW_WIDTH = 350;

interface Props {
  scene: Scene;
  cursor: Signal<Cursor | null>;
  brush: Signal<Span | null>;
  smooth: boolean;
}

export function Tooltip({ scene, cursor, brush, smooth }: Props) {
  const at = cursor.value;
  const hits = at ? hitsAt(scene, at) : [];
  const here = at ? closestHit(hits, at) : undefined;
  const chosen = here && at && "key" in at ? announcement(here, hits) : "";
  useEffect(() => {
    if (chosen) announce(chosen);
  }, [chosen]);
  const { width, height, top, bottom } = scene;
  const [from, to] = brush.value ?? [0, 0];
  return (
    <>
      <svg class="chart-over" width={width} height={height} aria-hidden="true">
        {brush.value && <path class="chart-brush" d={`M${from} ${top}H${to}V${bottom}H${from}z`} />}
        {here && <path class="chart-cross" d={`M${Math.round(here.px) + 0.5} ${top}V${bottom}`} />}
        {hits.map(
          ({ line: { track }, px, py }) =>
            Number.isFinite(py) && (
              <circle key={track.key} class="chart-dot" cx={px} cy={py} r={3.5} fill={`var(${track.tone})`} />
            ),
        )}
      </svg>
      {here && !brush.value && (
        <Readout scene={scene} hits={hits} here={here} py={"py" in at! ? at.py : here.py} smooth={smooth} />
      )}
    </>
  );
}

interface ReadoutProps {
  scene: Scene;
  hits: readonly Hit[];
  here: Hit;
  /** The height of the cursor: if there are too many rows, those nearest to it are listed. */
  py: number;
  smooth: boolean;
}

/** Placed next to the crosshair, on the side with more room, so that it never covers its point. */
function Readout({ scene, hits, here, py, smooth }: ReadoutProps) {
  const { left, right, top, bottom, width, letters } = scene;
  const onLeft = here.px > (left + right) / 2;
  const beside = (onLeft ? width - here.px : here.px) + BESIDE;
  // A row may take two lines if it is narrow; the head and the omitted rows take three more.
  const narrow = width - beside < ROW_WIDTH * letters;
  const most = Math.floor((bottom - top) / (LINE * letters) / (narrow ? 2 : 1)) - (narrow ? 2 : 3);
  const listed = hits.length > most ? nearestHits(hits, py, most) : hits;
  return (
    <div
      class="chart-readout num"
      style={{
        top: `${top}px`,
        maxWidth: `${width - beside}px`,
        [onLeft ? "right" : "left"]: `${beside}px`,
      }}
    >
      <div class="chart-readout-head">{positionWords(here).join(" · ")}</div>
      {listed.map((hit) => (
        <div key={hit.line.track.key} class="chart-readout-row">
          <Swatch {...hit.line.track} />
          <span class="chart-readout-label">{hit.line.track.label}</span>
          <b>{valueText(hit)}</b>
          <span class="chart-readout-note">{detailOf(hit, here, smooth)}</span>
        </div>
      ))}
      {hits.length > listed.length && (
        <div class="chart-readout-note">+{hits.length - listed.length} more</div>
      )}
    </div>
  );
}

export function nearestHits(hits: readonly Hit[], py: number, most: number): readonly Hit[] {
  const far = (hit: Hit): number => (Number.isFinite(hit.py) ? Math.abs(hit.py - py) : Infinity);
  return hits.toSorted((a, b) => far(a) - far(b)).slice(0, most);
}

function valueText({ line, value }: Hit): string {
  if (!Number.isFinite(value)) return "no number";
  return line.track.metric === "lr" ? rate(value) : loss(value);
}

/** The smoothed value, or the point's own step if that differs from the crosshair's. */
function detailOf(hit: Hit, here: Hit, smooth: boolean): string {
  if (hit.x !== here.x) return `at step ${stepWords(hit)}`;
  const average = hit.line.smooth?.[hit.index];
  return smooth && Number.isFinite(average) ? `avg ${loss(average)}` : "";
}

const rowOf = ({ line, index }: Hit): number => line.rows[index]!;

/** The step in the axis's notation. */
function stepWords(hit: Hit): string {
  const { rows, shift = 0 } = hit.line.track;
  return number(rows.step.at(rowOf(hit)) + shift);
}

function positionWords(hit: Hit): string[] {
  const { rows, origin } = hit.line.track;
  const [epoch, time] = [rows.epoch.at(rowOf(hit)), rows.time.at(rowOf(hit))];
  const parts = [`step ${stepWords(hit)}`];
  if (Number.isFinite(epoch)) parts.push(`epoch ${epoch.toFixed(2)}`);
  if (Number.isFinite(time - origin)) parts.push(elapsed(time - origin));
  if (Number.isFinite(time)) parts.push(clock(time));
  return parts;
}

/** Text for screen readers: the selected curve first, then the others. */
function announcement(here: Hit, hits: readonly Hit[]): string {
  const words = [here, ...hits.filter((hit) => hit !== here)].map((hit) =>
    [hit.line.track.label, valueText(hit), detailOf(hit, here, false)].join(" ").trim(),
  );
  return [`step ${stepWords(here)}`, ...words].join(", ");
}
