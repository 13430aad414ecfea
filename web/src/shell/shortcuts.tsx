import { availableActions, setSingleKeys, singleKeys } from "../actions/actions";
import { keyLabel } from "../actions/keys";
import { Switch } from "../ui/controls/switch";
import { Dialog } from "../ui/dialog";

/** A chart's own input. Not actions: they belong to the chart with the focus or the pointer. */
const CHART: readonly (readonly [string, ...string[]])[] = [
  ["Zoom", "drag", "wheel", "pinch"],
  ["Zoom by keys", "+", "−"],
  ["Show all", "double click", "0"],
  ["From point to point", "←", "→"],
  ["From curve to curve", "↑", "↓"],
];

/** The `?` sheet: every key that works on the current page. */
export function Shortcuts({ onClose }: { onClose: () => void }) {
  const sections = new Map<string, { keys: string; label: string }[]>();
  for (const { keys, label, section = "This page" } of availableActions()) {
    if (!keys) continue;
    const rows = sections.get(section) ?? [];
    rows.push({ keys, label });
    sections.set(section, rows);
  }
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose} wide>
      <div class="shell-keys">
        {[...sections].map(([section, rows]) => (
          <section key={section}>
            <h3>{section}</h3>
            <dl>
              {rows.map(({ keys, label }) => (
                <Keys key={label} label={label} keys={keyLabel(keys)} />
              ))}
            </dl>
          </section>
        ))}
        {document.querySelector(".chart") && (
          <section>
            <h3>Chart, pointed at or focused</h3>
            <dl>
              {CHART.map(([label, ...keys]) => (
                <Keys key={label} label={label} keys={keys} />
              ))}
            </dl>
          </section>
        )}
      </div>
      <Switch
        checked={singleKeys.value}
        onChange={setSingleKeys}
        label="Single-key shortcuts"
        hint={`${keyLabel("mod+k").join()} and all buttons work without them`}
      />
    </Dialog>
  );
}

function Keys({ label, keys }: { label: string; keys: readonly string[] }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dd>
    </div>
  );
}
