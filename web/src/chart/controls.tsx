/** The controls around the chart: the legend above it; axes, smoothing, learning rate and export under it. */
import { type Signal, useComputed } from "@preact/signals";
import { plural } from "../lib/format";
import { clean } from "../lib/text";
import { Button } from "../ui/controls/button";
import { Menu, type MenuItem } from "../ui/controls/menu";
import { Range } from "../ui/controls/range";
import { Chips } from "../ui/controls/switch";
import type { Scene } from "./scene";
import { type Track, WEIGHT } from "./series";
import { MODES, type Settings } from "./settings";
import { Swatch } from "./swatch";

const AXES = MODES.map((value) => ({ value, label: value === "wall" ? "clock" : value }));
const SCALES = (["linear", "log"] as const).map((value) => ({ value, label: value }));

interface Props {
  settings: Settings;
  onChange: (change: Partial<Settings>) => void;
  exports: readonly MenuItem[];
  scene: Signal<Scene | null>;
  /** Whether the learning rate can be shown. */
  rates?: boolean;
}

export function ChartControls({ settings, onChange, exports, scene, rates = false }: Props) {
  const bare = useComputed(() => scene.value?.lines.some(({ track }) => track.rows.length > 0) === false);
  if (bare.value && settings.hidden.length === 0) return null;
  return (
    <div class="chart-controls">
      <Labelled text="Across">
        <Chips
          label="Horizontal axis"
          items={AXES}
          value={settings.x}
          onChange={(x) => onChange({ x, zoom: null })}
        />
      </Labelled>
      <Labelled text="Scale">
        <Chips
          label="Vertical scale"
          items={SCALES}
          value={settings.log ? "log" : "linear"}
          onChange={(scale) => onChange({ log: scale === "log" })}
        />
      </Labelled>
      <SmoothingControl settings={settings} onChange={onChange} scene={scene} />
      {rates && (
        <label class="chart-control chart-check">
          <input
            type="checkbox"
            class="ui-check"
            checked={settings.lr}
            onChange={(event) => onChange({ lr: event.currentTarget.checked })}
          />
          Learning rate
        </label>
      )}
      <GapNotes scene={scene} />
      <span class="chart-controls-end">
        {settings.zoom && (
          <Button kind="quiet" small onClick={() => onChange({ zoom: null })}>
            Show all
          </Button>
        )}
        <Menu label="Export" small items={exports} icon="download">
          Export
        </Menu>
      </span>
    </div>
  );
}

/** Its own component: the default depends on the run's length, which is known once the chart is computed. */
function SmoothingControl({ settings, onChange, scene }: Pick<Props, "settings" | "onChange" | "scene">) {
  const weight = settings.smooth ?? (scene.value?.lines.some(({ smooth }) => smooth) ? WEIGHT : 0);
  return (
    <label class="chart-control">
      <span class="chart-control-name">Smoothing</span>
      <Range
        class="chart-slider"
        min={0}
        max={0.99}
        step={0.01}
        value={weight}
        onInput={(smooth) => onChange({ smooth })}
        onReset={() => onChange({ smooth: null })}
      />
      <output class="num chart-slider-value">{weight === 0 ? "off" : weight.toFixed(2)}</output>
    </label>
  );
}

/** Reports how many values are gaps, and how many points are faint because a later pass replaced them. */
function GapNotes({ scene }: { scene: Signal<Scene | null> }) {
  const { lines = [], below = 0 } = scene.value ?? {};
  const gaps = lines.reduce((sum, line) => sum + line.gaps, 0);
  const earlier = lines.flatMap((line) => line.earlier).reduce((sum, { xs }) => sum + xs.length, 0);
  return (
    <>
      {gaps > 0 && <span class="hint chart-gap-note">{plural(gaps, "value")} not a number</span>}
      {below > 0 && <span class="hint chart-gap-note">{plural(below, "value")} not above zero</span>}
      {earlier > 0 && <span class="hint">{plural(earlier, "point")} of an earlier pass, faint</span>}
    </>
  );
}

function Labelled({ text, children }: { text: string; children: preact.ComponentChildren }) {
  return (
    <div class="chart-control">
      <span class="chart-control-name" aria-hidden="true">
        {text}
      </span>
      {children}
    </div>
  );
}

interface LegendProps {
  tracks: readonly Track[];
  settings: Settings;
  onChange: (change: Partial<Settings>) => void;
}

/** Each line's name, and a switch for it. */
export function Legend({ tracks, settings: { hidden }, onChange }: LegendProps) {
  if (tracks.every(({ rows }) => rows.length === 0)) return null;
  return (
    <div class="chart-legend" role="group" aria-label="Curves">
      {tracks.map((track) => {
        const { key, label } = track;
        const visible = !hidden.includes(key);
        const flip = (): void =>
          onChange({ hidden: visible ? [...hidden, key] : hidden.filter((other) => other !== key) });
        return (
          <button
            key={key}
            type="button"
            class="chart-legend-item"
            title={clean(label, 200)}
            aria-pressed={visible}
            onClick={flip}
          >
            <Swatch {...track} />
            <span class="ellipsis">{clean(label, 80)}</span>
          </button>
        );
      })}
    </div>
  );
}
