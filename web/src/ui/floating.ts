import { signal } from "@preact/signals";
import type { ComponentType } from "preact";

/** What floats over every page, set by code that is loaded when it is needed; the shell draws it. */
export const floating = signal<ComponentType | null>(null);
