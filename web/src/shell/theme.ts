/** System, light or dark; stored, and applied before the first paint by `boot.js`. */
import { signal } from "@preact/signals";
import { onStored, THEME, writeStored } from "../lib/storage";

export type Theme = "system" | "light" | "dark";

export const theme = signal<Theme>(stored());

function stored(): Theme {
  const set = typeof document === "undefined" ? undefined : document.documentElement.dataset.theme;
  return set === "light" || set === "dark" ? set : "system";
}

export function setTheme(next: Theme): void {
  theme.value = next;
  const root = document.documentElement;
  if (next === "system") delete root.dataset.theme;
  else root.dataset.theme = next;
  writeStored(THEME, next);
}

/** Applies the choice of another tab. */
export function startTheme(): void {
  onStored(THEME, setTheme);
}
