/** Ways of a text field that one talks into. */

/** Whether the key is an input method's: its Enter ends a word, its Escape drops one. */
export function composing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}

/** Enter sends and Shift+Enter breaks the line. */
export function sendsOn(event: KeyboardEvent): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.altKey && !composing(event);
}

/** As tall as its text; the style sheet says how tall at most. */
export function fitHeight(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}
