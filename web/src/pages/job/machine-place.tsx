/** Where the machine's figures stand; their code is loaded for a run that has some. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

type MachineView = typeof import("./machine").Machine;
const view = signal<MachineView | null>(null);

export function MachinePlace(props: Parameters<MachineView>[0]) {
  const some = props.run.samples.length > 0 || props.run.metrics.secondsIn !== undefined;
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./machine").then(({ Machine }) => {
      view.value = Machine;
    });
  }, [some]);
  const View = view.value;
  return some && View ? <View {...props} /> : null;
}
