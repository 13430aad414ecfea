/** The browser's text size, for layouts that are computed in code. */
import { batch, type ReadonlySignal, signal } from "@preact/signals";

const height = signal(20);
const letters = signal(1);
/** A line of ordinary text in pixels, as the stylesheets' `rlh`. */
export const lineHeight: ReadonlySignal<number> = height;
/** The smallest letters, as a part of the 12 pixels that they have as a rule. */
export const smallLetters: ReadonlySignal<number> = letters;

const line = document.createElement("div");
line.style.cssText = "position:absolute;visibility:hidden;width:0;height:1rlh;font-size:var(--size-0)";
document.documentElement.append(line);
const measure = (): void =>
  batch(() => {
    height.value = line.getBoundingClientRect().height;
    letters.value = Number.parseFloat(getComputedStyle(line).fontSize) / 12;
  });
measure();
// The setting can change while the page is open.
new ResizeObserver(measure).observe(line);
