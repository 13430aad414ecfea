/** The browser's text size, for layouts that are computed in code. */
import { batch, type ReadonlySignal, signal } from "@preact/signals";

const height = signal(20);
const letters = signal(1);
/** The line height of normal text in pixels, as the stylesheets' `rlh`. */
export const lineHeight: ReadonlySignal<number> = height;
/** The smallest font size, relative to the usual 12 pixels. */
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
