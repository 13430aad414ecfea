/** Behaviour of a chat's text field. */

/** Whether the key belongs to an input method: its Enter ends a word, its Escape drops one. */
export function composing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}

/** Enter sends, Shift+Enter breaks the line. */
export function sendsOn(event: KeyboardEvent): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.altKey && !composing(event);
}

/** As tall as its text, up to the style sheet's limit. */
export function fitHeight(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}
