import { useLayoutEffect, useRef } from "preact/hooks";

/** Accepts what is dropped anywhere: outside a zone the browser would show it instead of the page. */
export function useDrop(setOver: (over: boolean) => void, take: (dropped: DataTransfer) => void): void {
  const latest = useRef(take);
  latest.current = take;
  // Before the first paint: a drop a moment later would make the browser leave the page.
  useLayoutEffect(() => {
    const listening = new AbortController();
    const on = (name: "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void): void =>
      addEventListener(name, act, { signal: listening.signal });
    on("dragover", (event) => {
      event.preventDefault();
      setOver(true);
    });
    on("dragleave", (event) => {
      if (event.relatedTarget === null) setOver(false);
    });
    on("drop", (event) => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer) latest.current(event.dataTransfer);
    });
    return () => listening.abort();
  }, []);
}
