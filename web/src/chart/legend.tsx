/** One legend for the chart: what each line is, and a switch for it. */
import { clean } from "../text";
import type { Track } from "./scene";
import type { Settings } from "./settings";

interface Props {
  tracks: readonly Track[];
  settings: Settings;
  onChange: (change: Partial<Settings>) => void;
}

export function Legend({ tracks, settings: { hidden }, onChange }: Props) {
  return (
    <div class="chart-legend" role="group" aria-label="Curves">
      {tracks.map(({ key, label, tone, dash }) => {
        const shown = !hidden.includes(key);
        const flip = (): void => onChange({ hidden: shown ? [...hidden, key] : hidden.filter((other) => other !== key) });
        return (
          <button key={key} type="button" class="chart-legend-item" aria-pressed={shown} onClick={flip}>
            <svg width="18" height="8" aria-hidden="true">
              <path d="M1 4h16" style={{ stroke: `var(${tone})` }} stroke-dasharray={dash} />
            </svg>
            <span class="ellipsis">{clean(label, 80)}</span>
          </button>
        );
      })}
    </div>
  );
}
