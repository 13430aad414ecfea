/** The further settings; their code is loaded when they are opened. */
import { signal } from "@preact/signals";
import { FEATURE, FORMATS } from "../../../chat/more";
import { late } from "../../../lib/late";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";

const useMore = late(() => import("./more"));
const open = signal(false);

export function LazyMore() {
  const code = useMore(open.value);
  if (!features.value.has(FEATURE) && !features.value.has(FORMATS)) return null;
  return (
    <>
      <Button
        kind="quiet"
        small
        class="pg-clear"
        aria-expanded={open.value}
        onClick={() => (open.value = !open.peek())}
      >
        {open.value ? "Fewer settings" : "More settings"}
      </Button>
      {code && <code.MoreFields />}
    </>
  );
}
