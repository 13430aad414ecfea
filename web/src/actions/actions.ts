/** What can be done here: pages put their actions in while they are shown; keys, the `?` sheet and the palette read them. */
import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { recall, remember } from "../lib/storage";
import { chordOf, typing } from "./keys";

export interface Action {
  id: string;
  label: string;
  /** A key (`x`, `?`, `/`) or two in a row (`g j`). */
  keys?: string;
  /** The heading it stands under in the `?` sheet. */
  section?: string;
  run: () => void;
  /** In the `?` sheet only: it needs a place to act on, so a palette entry makes no sense. */
  hidden?: boolean;
  /** Stands first in the palette. */
  first?: boolean;
}

const groups = signal<readonly (readonly Action[])[]>([]);

export const actions = computed(() => groups.value.flat());

/** Offers actions while the component is mounted. `run` may close over fresh state: the last render's is called. */
export function useActions(list: readonly Action[], deps: readonly unknown[] = []): void {
  const latest = useRef(list);
  latest.current = list;
  useEffect(() => {
    const group = latest.current.map((action, index) => ({
      ...action,
      run: () => (latest.current.find((other) => other.id === action.id) ?? latest.current[index])?.run(),
    }));
    groups.value = [...groups.peek(), group];
    return () => {
      groups.value = groups.peek().filter((other) => other !== group);
    };
  }, deps);
}

const KEY = "arkor.keys";

/** Single keys can be in the way of speech input and of unsteady hands, so they can be turned off. */
export const singleKeys = signal(recall(KEY) !== "off");

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  remember(KEY, on ? null : "off");
}

const PAUSE_MS = 900;

/** Listens for the keys of all offered actions; a sequence is forgotten after a moment. */
export function startKeys(): void {
  let first = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || typing(event)) return;
    if (document.querySelector("dialog[open]")) return;
    const chord = chordOf(event);
    if (!chord || (!singleKeys.peek() && chord !== "mod+k")) return;
    // Later groups are nearer to the page that is shown, so they win.
    const all = actions.peek().toReversed();
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
