/** Where the choice of a cluster stands; its code is loaded where the backend can run jobs on one. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { features } from "../../store/features";

const view = signal<typeof import("./cluster").ClusterChoice | null>(null);

export function ClusterPlace() {
  const named = features.value.has("placement");
  useEffect(() => {
    if (named)
      void import("./cluster").then(({ ClusterChoice }) => {
        view.value = ClusterChoice;
      });
  }, [named]);
  const View = view.value;
  return named && View ? <View /> : null;
}
