/** From keyboard events to the short names that actions use. */

interface KeyLike {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** The pressed key's name, or null for modifiers alone and for the browser's own combinations. */
export function chordOf(event: KeyLike): string | null {
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) return event.key.toLowerCase() === "k" ? "mod+k" : null;
  if (event.key.length === 1) return event.key === " " ? null : event.key;
  return null;
}

/** Whether the key belongs to a field that is being typed in; the palette's combination works even there. */
export function typing(event: KeyboardEvent): boolean {
  if (chordOf(event) === "mod+k") return false;
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range"].includes(target.type);
}

/** How the combination is written for this system's people. */
export function keyLabel(keys: string): string[] {
  const mac = /mac|iphone|ipad/i.test(navigator.platform);
  return keys.split(" ").map((key) => (key === "mod+k" ? (mac ? "⌘ K" : "Ctrl K") : key));
}
