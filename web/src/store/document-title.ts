/** The tab's title and icon: the page's name, whether a job runs, and which one ended while the tab was not focused. */
import { effect, signal } from "@preact/signals";
import { clean } from "../lib/text";
import { runningCount, unseenEnd } from "./watch";

const page = signal("");

/** Sets the page's part of the title, such as a job's name; empty for the plain name. */
export function setTitle(text: string): void {
  page.value = clean(text, 80);
}

const WORDS: Readonly<Record<string, string>> = {
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** Colours are fixed: the tab strip has its own theme, and a mid tone is legible on both. */
const TONES = {
  rest: "",
  running: "#e8743b",
  completed: "#2f9e5b",
  failed: "#d5433d",
  cancelled: "#808894",
} as const;

export function startTitle(): void {
  effect(() => {
    const end = unseenEnd.value;
    const title = page.value;
    document.title = end
      ? `${WORDS[end.status] ?? clean(end.status, 20)}: ${clean(end.name, 60)}`
      : title
        ? `${title} · Arkor Studio`
        : "Arkor Studio";
  });
  effect(() => {
    const end = unseenEnd.value;
    const tone = end
      ? (TONES[end.status as keyof typeof TONES] ?? "")
      : runningCount.value > 0
        ? TONES.running
        : "";
    const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (link) link.href = markUrl(tone);
  });
}

function markUrl(tone: string): string {
  const dot = tone ? `<circle cx="15.5" cy="4.5" r="4.5" fill="${tone}"/>` : "";
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="none" stroke-width="2.6" stroke-linecap="round">' +
    '<path d="M2 18h16" stroke="#8a93a0" stroke-width="2"/><path d="M3 2c1.4 8 4 11.6 14 12" stroke="#e8743b"/>' +
    `${dot}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
