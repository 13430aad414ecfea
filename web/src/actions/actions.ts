/**
 * Available actions. An action is one record, shared by its key, the palette, the `?` sheet and its button; pages offer
 * theirs while they are mounted.
 */
import { signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { readStored, SINGLE_KEYS, writeStored } from "../lib/storage";
import { chordOf, typing } from "./keys";

export interface Action {
  name: string;
  label: string;
  /** A key (`x`, `?`, `/`) or a sequence of two (`g j`). */
  keys?: string;
  /** Its heading in the `?` sheet. */
  section?: string;
  /** Whether it is available now; without it, always. */
  when?: () => boolean;
  run: () => void;
  /** Only in the `?` sheet: it needs a focused element, so a palette entry makes no sense. */
  hidden?: boolean;
  /** Comes first in the palette. */
  first?: boolean;
}

const offered = signal<readonly RefObject<readonly Action[]>[]>([]);

export const canRun = ({ when }: Action): boolean => when?.() ?? true;

/** All actions available now. */
export function availableActions(): Action[] {
  return offered.value.flatMap(({ current }) => current ?? []).filter(canRun);
}

/**
 * Offers actions while the component is mounted. They may use its state: those of the last render apply. `section` is
 * the heading of those without their own.
 */
export function useActions(section: string | undefined, list: readonly Action[]): void {
  const latest = useRef(list);
  latest.current = section === undefined ? list : list.map((action) => ({ section, ...action }));
  // Not a passive effect: a key may be pressed before the next frame.
  useLayoutEffect(() => {
    offered.value = [...offered.peek(), latest];
    return () => {
      offered.value = offered.peek().filter((other) => other !== latest);
    };
  }, []);
}

/** Single keys can conflict with speech input and unsteady hands, so they can be turned off. */
export const singleKeys = signal(readStored(SINGLE_KEYS) === "on");

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  writeStored(SINGLE_KEYS, on ? "on" : "off");
}

const PAUSE_MS = 900;

/** Listens for the keys of all offered actions; a started sequence expires after a moment. */
export function startKeys(): void {
  let first = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || typing(event)) return;
    if (document.querySelector("dialog[open]")) return;
    const chord = chordOf(event);
    if (!chord || (!singleKeys.peek() && chord !== "mod+k")) return;
    // Later ones belong to the current page, so they win.
    const all = availableActions().toReversed();
    const match =
      (first && all.find((action) => action.keys === `${first} ${chord}`)) ||
      all.find((action) => action.keys === chord);
    clearTimeout(timer);
    first = match ? "" : chord;
    timer = setTimeout(() => {
      first = "";
    }, PAUSE_MS);
    if (!match) return;
    event.preventDefault();
    match.run();
  });
}
