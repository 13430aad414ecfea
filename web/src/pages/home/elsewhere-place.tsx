/** Where a job is told of that runs or stands without a command of this launch; its code comes with the first one. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { jobs } from "../../store/jobs";

const view = signal<typeof import("./elsewhere").Elsewhere | null>(null);

export function ElsewherePlace() {
  const any = jobs.value.some(({ status }) => status === "running" || status === "paused");
  useEffect(() => {
    if (any)
      void import("./elsewhere").then(({ Elsewhere }) => {
        view.value = Elsewhere;
      });
  }, [any]);
  const View = view.value;
  return View && <View />;
}
