/** Keeps the user on the page while something is shown that will never be shown again. */
import { useLayoutEffect } from "preact/hooks";
import { guardRoute } from "../../../router";
import { confirm, unask } from "../../../ui/dialog";

/** While mounted, closing the tab shows the browser's own question, and navigating asks `question`. */
export function useGuard(question: { title: string; text: string; action: string }): void {
  // A passive effect would start and end one frame too late.
  useLayoutEffect(() => {
    const closing = (event: BeforeUnloadEvent): void => event.preventDefault();
    const release = guardRoute((leave) => {
      void confirm({ ...question, danger: true }).then((yes) => yes && leave());
    });
    addEventListener("beforeunload", closing);
    return () => {
      release();
      // Closes a question that is about something already finished.
      unask();
      removeEventListener("beforeunload", closing);
    };
  }, []);
}
