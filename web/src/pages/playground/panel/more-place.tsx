/** Where the further settings are; their code is loaded when somebody opens them. */
import { signal } from "@preact/signals";
import { FEATURE } from "../../../chat/more";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";

const code = signal<typeof import("./more") | null>(null);
const open = signal(false);

const toggle = (): void => {
  open.value = !open.peek();
  if (code.peek()) return;
  void import("./more").then((module) => {
    code.value = module;
  });
};

export function MorePlace() {
  if (!features.value.has(FEATURE)) return null;
  const loaded = code.value;
  return (
    <>
      <Button kind="quiet" small class="pg-clear" aria-expanded={open.value} onClick={toggle}>
        {open.value ? "Fewer settings" : "More settings"}
      </Button>
      {open.value && loaded && <loaded.MoreFields />}
    </>
  );
}
