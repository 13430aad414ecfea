import { signal } from "@preact/signals";
import type { ComponentChildren, ComponentType } from "preact";
import { say } from "./controls/live";

/** Content that floats over every page, set by lazily loaded code and drawn by the shell. */
export const floating = signal<ComponentType | null>(null);

/** Opens a dialog over what floats; `load` brings its code. A failure is said after the words `trouble`. */
export async function openDialog(
  trouble: string,
  load: () => Promise<(onClose: () => void) => ComponentChildren>,
): Promise<void> {
  try {
    const draw = await load();
    const before = floating.peek();
    const close = (): void => {
      floating.value = before;
    };
    floating.value = () => draw(close);
  } catch (error) {
    say(`${trouble}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
