/** Machine metrics during training: small charts below the loss, with its x axis and cursor. */
import type { Signal } from "@preact/signals";
import { useId, useMemo } from "preact/hooks";
import { type Cursor, pathOf, type Scene, scaleOf } from "../../../../chart/scene";
import { type Curve, extent, nearest } from "../../../../chart/series";
import type { Settings } from "../../../../chart/settings";
import { Swatch } from "../../../../chart/swatch";
import type { Run } from "../../../../events/run";
import { bytes, number } from "../../../../lib/format";
import { type Field, placesOf, Samples } from "./samples";

const HEIGHT = 44;

interface Line {
  field: Field;
  label: string;
  tone: string;
}

interface Panel {
  title: string;
  lines: readonly Line[];
  words: (value: number) => string;
  /** The top of the scale, if it does not follow from the values. */
  top?: number;
}

const share = (value: number): string => `${Math.round(100 * value)} %`;
const line = (field: Field, label = "", tone = "--second"): Line => ({ field, label, tone });

const PANELS: readonly Panel[] = [
  {
    title: "Processor",
    lines: [line("processCpu", "this run"), line("cpu", "whole machine", "--ink-3")],
    words: share,
    top: 1,
  },
  {
    title: "Memory",
    lines: [line("memory", "this run"), line("memoryFree", "free", "--ink-3")],
    words: bytes,
  },
  { title: "Disk", lines: [line("disk")], words: (value) => `${bytes(value)}/s` },
  { title: "GPU", lines: [line("gpu")], words: share, top: 1 },
  { title: "GPU memory", lines: [line("gpuMemory")], words: bytes },
  { title: "GPU power", lines: [line("gpuWatts")], words: (value) => `${number(value, 0)} W` },
  { title: "GPU temperature", lines: [line("gpuCelsius")], words: (value) => `${number(value, 0)} °C` },
];

interface Props {
  run: Run;
  version: number;
  origin: number;
  /** In the curve's own units. */
  shift: number;
  settings: Settings;
  scene: Scene;
  cursor: Signal<Cursor | null>;
}

export function MachineCharts({ run, origin, shift, settings, scene, cursor }: Props) {
  const samples = useMemo(() => new Samples(), [run]);
  samples.extend(run.samples);
  const times = samples.times.view();
  const xs = placesOf(times, run.rows, settings.x, origin, run.startedAt, shift);
  const at = cursor.value;
  const index = at === null ? xs.length - 1 : nearest(xs, at.x);
  const point = (event: PointerEvent): void => {
    const { left } = (event.currentTarget as Element).getBoundingClientRect();
    const px = Math.min(scene.right, Math.max(scene.left, event.clientX - left));
    cursor.value = { x: scene.x.invert(px), py: 0 };
  };
  return (
    <div class="job-machine" onPointerMove={point} onPointerLeave={() => (cursor.value = null)}>
      {PANELS.map((panel) => {
        const lines = panel.lines.filter(({ field }) => samples.has(field));
        if (lines.length === 0) return null;
        return (
          <div key={panel.title} class="job-machine-panel">
            <p class="num">
              <b>{panel.title}</b>
              {lines.map(({ field, label, tone }) => (
                <span key={field}>
                  {lines.length > 1 && <Swatch tone={tone} />} {label}{" "}
                  {valueText(samples.columns.get(field)!.at(index), panel.words)}
                </span>
              ))}
            </p>
            <Plot
              panel={panel}
              lines={lines}
              samples={samples}
              xs={xs}
              scene={scene}
              px={at && scene.x.map(at.x)}
            />
          </div>
        );
      })}
    </div>
  );
}

function valueText(value: number, words: Panel["words"]): string {
  return Number.isFinite(value) ? words(value) : "–";
}

function Plot({
  panel,
  lines,
  samples,
  xs,
  scene,
  px,
}: {
  panel: Panel;
  lines: readonly Line[];
  samples: Samples;
  xs: Float64Array;
  scene: Scene;
  px: number | null;
}) {
  const curves = lines.map(({ field, tone }) => {
    const curve: Curve = { xs, ys: samples.columns.get(field)!.view() };
    return { field, tone, curve, most: extent(curve.ys, 0, xs.length)[1] };
  });
  const top = panel.top ?? (Math.max(...curves.map(({ most }) => most)) * 1.05 || 1);
  const y = scaleOf([0, top], HEIGHT - 1, 2);
  const { left, right, width } = scene;
  const clip = useId();
  return (
    <svg
      class="job-machine-plot"
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      aria-hidden="true"
    >
      <clipPath id={clip}>
        <rect x={left} width={Math.max(0, right - left)} height={HEIGHT} />
      </clipPath>
      <path class="chart-axis" d={`M${left} ${HEIGHT - 0.5}H${right}`} />
      {curves.toReversed().map(({ field, tone, curve }) => {
        const { d, dots } = pathOf(curve, scene.x, y);
        return (
          <g key={field} clip-path={`url(#${clip})`} style={{ stroke: `var(${tone})` }}>
            <path class="chart-curve chart-thin" d={d} />
            <path class="chart-dots" d={dots} />
          </g>
        );
      })}
      {px !== null && <path class="chart-cross" d={`M${Math.round(px) + 0.5} 0V${HEIGHT}`} />}
    </svg>
  );
}
