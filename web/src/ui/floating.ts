import { signal } from "@preact/signals";
import type { ComponentType } from "preact";

/** Content that floats over every page, set by lazily loaded code and drawn by the shell. */
export const floating = signal<ComponentType | null>(null);
