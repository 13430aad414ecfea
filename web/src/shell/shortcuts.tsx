import { actions, setSingleKeys, singleKeys } from "../ui/actions";
import { Dialog } from "../ui/dialog";
import { keyLabel } from "../ui/keys";
import { Switch } from "../ui/switch";

/** The `?` sheet: every key that works on the page that is open. */
export function Shortcuts({ onClose }: { onClose: () => void }) {
  const sections = new Map<string, { keys: string; label: string }[]>();
  for (const { keys, label, section = "This page" } of actions.value) {
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
                <div key={label}>
                  <dt>{label}</dt>
                  <dd>
                    {keyLabel(keys).map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <Switch checked={singleKeys.value} onChange={setSingleKeys} label="Single-key shortcuts" hint="Ctrl K and all buttons work without them" />
    </Dialog>
  );
}
