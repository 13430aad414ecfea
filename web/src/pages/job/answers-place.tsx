/** Where a run's answers stand; their code is loaded for a run that has some. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

type AnswersView = typeof import("./answers").Answers;
const view = signal<AnswersView | null>(null);

export function AnswersPlace(props: Parameters<AnswersView>[0]) {
  const some = props.run.answers.length > 0;
  useEffect(() => {
    if (!some || view.peek()) return;
    void import("./answers").then(({ Answers }) => {
      view.value = Answers;
    });
  }, [some]);
  const View = view.value;
  return some && View ? <View {...props} /> : null;
}
