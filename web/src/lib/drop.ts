import { useLayoutEffect, useRef } from "preact/hooks";

/** Refuses what no page takes: the browser would leave the page and show it. */
export function refuseDrops(): () => void {
  const listening = new AbortController();
  for (const name of ["dragover", "drop"] as const)
    addEventListener(
      name,
      (event) => {
        if (event.defaultPrevented) return;
        event.preventDefault();
        if (event.dataTransfer) event.dataTransfer.dropEffect = "none";
      },
      { signal: listening.signal },
    );
  return () => listening.abort();
}

/** Accepts what is dropped anywhere on the page. */
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
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy"; // the frame refuses drops
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
