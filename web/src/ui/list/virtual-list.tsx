/** Long lists of equal rows, of which only the visible ones are in the page. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import "./virtual-list.css";

const OVERSCAN = 8;
// Browsers stop laying out beyond some 16 million pixels; twice the rows of the longest output fit below that.
const MAX_HEIGHT = 12_000_000;

export interface Range {
  start: number;
  end: number;
}

/** The rows to draw for a viewport of `height` whose top is `top` pixels into the list. */
export function rangeOf(top: number, height: number, rowHeight: number, count: number): Range {
  const first = Math.floor(Math.max(0, top) / rowHeight) - OVERSCAN;
  const last = Math.ceil(Math.max(0, top + height) / rowHeight) + OVERSCAN;
  const end = Math.min(count, Math.max(0, last));
  return { start: Math.max(0, Math.min(first, end)), end };
}

export interface VirtualHandle {
  scrollTo(index: number): void;
  /** Scrolls to the last row and follows the tail from there. */
  toEnd(): void;
}

interface Props {
  count: number;
  rowHeight: number;
  /** A row; its height must be `rowHeight`. Give it a key if rows keep state. */
  render: (index: number) => ComponentChildren;
  /** Accessible name of the scrollable region. */
  label: string;
  class?: string;
  /** Keeps the last row visible while the user is at the end. */
  follow?: boolean;
  /** Rows that were removed from the front: the visible rows keep their position. */
  dropped?: number;
  /** Called with false when the user leaves the end, with true when they return. */
  onFollow?: (atEnd: boolean) => void;
  handle?: { current: VirtualHandle | null };
  /** `log` for growing text, else a plain named region. */
  role?: "log" | "region";
}

export function VirtualRows({
  count,
  rowHeight,
  render,
  label,
  class: extra,
  follow,
  dropped = 0,
  onFollow,
  handle,
  role = "region",
}: Props) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const gone = useRef(dropped);
  const [view, setView] = useState({ top: 0, height: 0 });
  const total = Math.min(MAX_HEIGHT, count * rowHeight);

  const measure = (): void => {
    const node = box.current;
    if (!node) return;
    const { scrollTop: top, clientHeight: height } = node;
    setView((old) => (old.top === top && old.height === height ? old : { top, height }));
  };
  const onScroll = (): void => {
    const node = box.current;
    if (!node) return;
    const end = node.scrollTop + node.clientHeight >= node.scrollHeight - rowHeight / 2;
    if (end !== atEnd.current) {
      atEnd.current = end;
      onFollow?.(end);
    }
    measure();
  };
  const position = (): void => {
    const node = box.current;
    if (node && follow && atEnd.current) node.scrollTop = node.scrollHeight;
    measure();
  };
  useLayoutEffect(() => {
    const moved = (dropped - gone.current) * rowHeight;
    gone.current = dropped;
    if (moved !== 0 && box.current && !atEnd.current) box.current.scrollTop -= moved;
    // The observer measures first, after layout and before painting; measuring here would cause a second layout.
    if (view.height > 0) position();
  }, [count, rowHeight, follow, dropped]);
  useLayoutEffect(() => {
    const node = box.current;
    if (!node) return undefined;
    const observer = new ResizeObserver(position);
    observer.observe(node);
    return () => observer.disconnect();
  }, [follow]);
  // Set before use: the list's owner may run its effect as soon as the list is rendered again.
  useLayoutEffect(() => {
    if (!handle) return;
    handle.current = {
      scrollTo(index) {
        const node = box.current;
        if (node) node.scrollTop = Math.max(0, index * rowHeight - node.clientHeight / 2 + rowHeight);
      },
      toEnd() {
        const node = box.current;
        if (node) node.scrollTop = node.scrollHeight;
      },
    };
  }, [handle, rowHeight]);

  const { start, end } = rangeOf(view.top, view.height, rowHeight, count);
  const rows: ComponentChildren[] = [];
  for (let index = start; index < end; index += 1) rows.push(render(index));
  return (
    <div
      ref={box}
      class={extra ? `ui-virtual ${extra}` : "ui-virtual"}
      role={role}
      aria-label={label}
      // A live log would be read line by line; the states around it are announced instead.
      aria-live={role === "log" ? "off" : undefined}
      tabIndex={0}
      onScroll={onScroll}
    >
      <div class="ui-virtual-all" style={{ height: `${total}px` }}>
        <div class="ui-virtual-shown" style={{ transform: `translateY(${start * rowHeight}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}

/** The rows of a list that scrolls with the page itself; `list` is the element that holds them. */
export function usePageRows(list: { current: HTMLElement | null }, count: number, rowHeight: number): Range {
  const [range, setRange] = useState<Range>(() => rangeOf(0, innerHeight, rowHeight, count));
  useLayoutEffect(() => {
    const update = (): void => {
      const node = list.current;
      if (!node) return;
      const next = rangeOf(-node.getBoundingClientRect().top, innerHeight, rowHeight, count);
      setRange((old) => (old.start === next.start && old.end === next.end ? old : next));
    };
    update();
    addEventListener("scroll", update, { passive: true });
    addEventListener("resize", update);
    return () => {
      removeEventListener("scroll", update);
      removeEventListener("resize", update);
    };
  }, [list, count, rowHeight]);
  const end = Math.min(range.end, count);
  return { start: Math.min(range.start, end), end };
}
