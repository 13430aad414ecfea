/** The trainers that the project declares; asked for anew whenever the window comes back from the editor. */
import { batch, signal } from "@preact/signals";
import { ApiError, errorText, request } from "../api";
import type { Manifest } from "../contract.gen";

export const manifest = signal<Manifest | null>(null);

/** Why the project does not build, as the daemon says it. */
export const manifestError = signal<string | null>(null);

/** The stack and whatever else was printed, where the fault leaves it out. */
export const manifestDetails = signal<string | null>(null);

/** Of what is known, be it the manifest or the fault. */
let etag = "";
let asking: Promise<void> | null = null;

export function loadManifest(): Promise<void> {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask(): Promise<void> {
  try {
    const response = await request("/manifest", etag ? { headers: { "If-None-Match": etag } } : {});
    if (response.status === 304) return;
    manifest.value = (await response.json()) as Manifest;
    etag = response.headers.get("ETag") ?? "";
    manifestError.value = null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) return;
    etag = error instanceof ApiError ? error.etag : "";
    const details = error instanceof ApiError ? error.extra["details"] : null;
    batch(() => {
      manifestDetails.value = typeof details === "string" ? details : null;
      manifestError.value = errorText(error);
    });
  }
}
