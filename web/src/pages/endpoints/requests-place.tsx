/** Where the log of requests stands; its code is loaded where the backend keeps one (feature `serving`). */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Deployment } from "../../contract.gen";
import { features } from "../../store/features";

const view = signal<typeof import("./requests").Requests | null>(null);

export function RequestsPlace({ deployment }: { deployment: Deployment }) {
  const some = features.value.has("serving");
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./requests").then(({ Requests }) => {
      view.value = Requests;
    });
  }, [some]);
  const View = view.value;
  return some && View ? <View key={deployment.id} deployment={deployment} /> : null;
}
