/** Converts keyboard events to the short names that actions use. */

interface KeyLike {
  key: string;
  code: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

const mac = (): boolean => /mac|iphone|ipad/i.test(navigator.platform);

/** The pressed key's name, or null for mere modifiers and for the browser's own shortcuts. */
export function chordOf(event: KeyLike): string | null {
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) {
    // A layout without Latin letters has its K in the same position; on a Mac Ctrl K deletes to the end of the line.
    const k = event.key.toLowerCase() === "k" || (event.key > "\u007f" && event.code === "KeyK");
    return k && !event.shiftKey && event.metaKey === mac() ? "mod+k" : null;
  }
  if (event.key.length === 1) return event.key === " " ? null : event.key;
  return null;
}

/** Whether the key belongs to the focused input; the palette's shortcut works even there. */
export function typing(event: KeyboardEvent): boolean {
  if (chordOf(event) === "mod+k") return false;
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (
    target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement
  )
    return true;
  return (
    target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range"].includes(target.type)
  );
}

/** The shortcut in this system's notation. */
export function keyLabel(keys: string): string[] {
  return keys.split(" ").map((key) => (key === "mod+k" ? (mac() ? "⌘ K" : "Ctrl K") : key));
}
