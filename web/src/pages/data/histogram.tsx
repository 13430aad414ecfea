/** The row lengths, and what truncation would lose: the line of `max_length` can be moved. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { DatasetLengths, DatasetView } from "../../contract.gen";
import { number, plural } from "../../lib/format";
import { Button } from "../../ui/controls/button";
import { axisEnd, barsOf, lossesAt } from "./losses";

/** The smallest `max_length` (docs/settings.md). */
const LEAST = 8;
const BAR_PX = 5;
const HEIGHT = 96;
const ROUND = [1, 2, 5];

interface Props {
  view: DatasetView;
  lengths: DatasetLengths;
  cut: number;
  onCut: (cut: number) => void;
  /** Applies it to the trainer's settings, like the form on Home. */
  onUse: (cut: number) => void;
}

export function Histogram({ view, lengths, cut, onCut, onUse }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const node = box.current;
    if (!node) return undefined;
    const observer = new ResizeObserver(() => setWidth(node.clientWidth));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  const configured = view.maxLength ?? cut;
  // The axis stays fixed while the line moves.
  const end = Math.min(axisEnd(lengths, configured), Math.max(LEAST + 1, view.context ?? Infinity));
  const bars = useMemo(
    () => barsOf(lengths, end, Math.max(1, Math.floor(width / BAR_PX))),
    [lengths, end, width],
  );
  const most = Math.max(1, ...bars.map(({ rows }) => rows));
  const x = (length: number): number => (width * Math.min(length, end)) / end;
  const words = lossWords(view, lengths, cut);
  const position = Math.min(cut, end);
  return (
    <section class="data-lengths" aria-labelledby="data-lengths">
      <h2 id="data-lengths">Row length in tokens</h2>
      <div class="data-plot" ref={box}>
        <svg width={width} height={HEIGHT} aria-hidden="true">
          {bars.map(({ from, to, rows }) => {
            const height = rows === 0 ? 0 : Math.max(1.5, (rows / most) * (HEIGHT - 10));
            const left = x(from);
            return (
              <rect
                key={from}
                class={from >= cut ? "data-bar data-bar-cut" : "data-bar"}
                x={left}
                y={HEIGHT - height}
                width={Math.max(1, x(to) - left - 1)}
                height={height}
              />
            );
          })}
          <path class="data-axis" d={`M0 ${HEIGHT - 0.5}H${width}`} />
        </svg>
        <div class="data-ticks num" aria-hidden="true">
          {ticks(end, width).map((tick) => (
            <span key={tick} style={{ left: `${x(tick)}px` }}>
              {number(tick)}
            </span>
          ))}
        </div>
        <input
          class="data-line"
          type="range"
          min={0}
          max={end}
          step={1}
          value={position}
          aria-label="max_length, in tokens"
          aria-valuetext={`${plural(cut, "token")}: ${words}`}
          onInput={(event) => onCut(Math.max(LEAST, event.currentTarget.valueAsNumber))}
        />
      </div>
      <p class="data-losses num">
        <strong>
          max_length {number(cut)}
          {cut > end && ", beyond the axis,"}
        </strong>{" "}
        {words}
        {cut !== configured && (
          <span class="data-moved">
            <Button small onClick={() => onUse(cut)}>
              Use for the next run
            </Button>
            <Button small kind="quiet" onClick={() => onCut(configured)}>
              Back to {number(configured)}
            </Button>
          </span>
        )}
      </p>
    </section>
  );
}

function lossWords(view: DatasetView, lengths: DatasetLengths, cut: number): string {
  const lost = lossesAt(lengths, cut);
  if (lost.rows === 0) return "truncates no row.";
  const share = (100 * lost.tokens) / Math.max(1, view.tokens);
  const parts = [
    `truncates ${number(lost.rows)} of ${plural(lengths.read, "row")} and drops ${plural(lost.tokens, "token")} (${share < 0.1 ? "less than 0.1" : number(share, 1)} %), ${number(lost.learned)} of them learned.`,
  ];
  if (lost.empty > 0)
    parts.push(
      `${plural(lost.empty, "row has", "rows have")} nothing left to learn: training would stop there.`,
    );
  return parts.join(" ");
}

/** Round lengths, as many as fit. */
function ticks(end: number, width: number): number[] {
  const room = Math.max(1, Math.floor(width / 90));
  let step = 1;
  for (let power = 1; end / step > room; power *= 10) {
    for (const digit of ROUND) {
      step = digit * power;
      if (end / step <= room) break;
    }
  }
  const places: number[] = [];
  for (let tick = 0; tick <= end - step * 0.3; tick += step) places.push(tick);
  return places;
}
