/** The trainers that the project declares; asked for anew whenever the window comes back from the editor. */
import { signal } from "@preact/signals";
import { ApiError, api, errorText } from "../api";
import type { Manifest } from "../contract.gen";

export const manifest = signal<Manifest | null>(null);

/** Why the project does not build, as the daemon says it. */
export const manifestError = signal<string | null>(null);

let asking: Promise<void> | null = null;

export function loadManifest(): Promise<void> {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask(): Promise<void> {
  try {
    const fresh = await api<Manifest>("/manifest");
    if (JSON.stringify(fresh) !== JSON.stringify(manifest.peek())) manifest.value = fresh;
    manifestError.value = null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) return;
    manifestError.value = errorText(error);
  }
}
