/** The controls under the chart: axes, smoothing, learning rate, export. */
import { type Signal, useComputed } from "@preact/signals";
import { plural } from "../lib/format";
import { Button } from "../ui/controls/button";
import { Menu, type MenuItem } from "../ui/controls/menu";
import { Range } from "../ui/controls/range";
import { Chips } from "../ui/controls/switch";
import type { XMode } from "./data/series";
import type { Scene } from "./geometry/scene";
import { DEFAULTS, type Settings } from "./geometry/settings";

const AXES: readonly { value: XMode; label: string }[] = [
  { value: "step", label: "step" },
  { value: "epoch", label: "epoch" },
  { value: "elapsed", label: "elapsed" },
  { value: "wall", label: "clock" },
];
const SCALES = [
  { value: "linear", label: "linear" },
  { value: "log", label: "log" },
] as const;

interface Props {
  settings: Settings;
  onChange: (change: Partial<Settings>) => void;
  exports: readonly MenuItem[];
  scene: Signal<Scene | null>;
  /** Whether the learning rate can be shown. */
  rates?: boolean;
}

export function ChartControls({ settings, onChange, exports, scene, rates = false }: Props) {
  const bare = useComputed(
    () => scene.value?.drawn.length !== 0 && scene.value?.drawn.every(({ track }) => track.rows.length === 0),
  );
  if (bare.value) return null;
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
  const weight =
    settings.smooth ?? scene.value?.drawn.find(({ track }) => track.metric === "loss")?.series.weight ?? 0;
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
        onReset={() => onChange({ smooth: DEFAULTS.smooth })}
      />
      <output class="num chart-slider-value">{weight === 0 ? "off" : weight.toFixed(2)}</output>
    </label>
  );
}

/** Reports how many values are gaps, and how many points are faint because a later pass replaced them. */
function GapNotes({ scene }: { scene: Signal<Scene | null> }) {
  const { drawn = [], below = 0 } = scene.value ?? {};
  const gaps = drawn.reduce((sum, { series }) => sum + series.gaps, 0);
  const earlier = drawn.reduce(
    (sum, { series }) => sum + series.earlier.reduce((all, { length }) => all + length, 0),
    0,
  );
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
