/** The chart's legend: each line's name, and a switch for it. */
import { clean } from "../lib/text";
import type { Settings } from "./geometry/settings";
import type { Track } from "./geometry/track";
import { Swatch } from "./swatch";

interface Props {
  tracks: readonly Track[];
  settings: Settings;
  onChange: (change: Partial<Settings>) => void;
}

export function Legend({ tracks, settings: { hidden }, onChange }: Props) {
  if (tracks.every(({ rows }) => rows.length === 0)) return null;
  return (
    <div class="chart-legend" role="group" aria-label="Curves">
      {tracks.map(({ key, label, tone, dash }) => {
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
            <Swatch tone={tone} dash={dash} />
            <span class="ellipsis">{clean(label, 80)}</span>
          </button>
        );
      })}
    </div>
  );
}
