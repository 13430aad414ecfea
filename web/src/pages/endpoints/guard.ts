/** Holds the reader on the page while something is shown that will never be shown again. */
import { useEffect } from "preact/hooks";
import { confirm } from "../../ui";

/**
 * While mounted, closing the tab asks (the browser's own words), and another address is put back and asked
 * about; `question` is what that asks.
 */
export function useGuard(question: { title: string; text: string; action: string }): void {
  useEffect(() => {
    let leaving = false;
    const closing = (event: BeforeUnloadEvent): void => event.preventDefault();
    const moved = (event: HashChangeEvent): void => {
      if (leaving) return;
      // Before the router hears of it; on the window, listeners that capture come first.
      event.stopImmediatePropagation();
      history.pushState(null, "", event.oldURL);
      void confirm({ ...question, danger: true }).then((yes) => {
        if (!yes) return;
        leaving = true;
        location.hash = new URL(event.newURL).hash;
      });
    };
    addEventListener("beforeunload", closing);
    addEventListener("hashchange", moved, { capture: true });
    return () => {
      removeEventListener("beforeunload", closing);
      removeEventListener("hashchange", moved, { capture: true });
    };
  }, []);
}
