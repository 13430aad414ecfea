/** The trainers that the project declares; asked for anew whenever the window comes back from the editor. */
import { batch, signal } from "@preact/signals";
import { ApiError, errorText, request } from "../api/client";
import type { Manifest, Trainer } from "../contract.gen";
import { type Change, changesOf } from "./trainer-changes";

export const manifest = signal<Manifest | null>(null);

/** Why none of the trainers can be read, as the daemon says it. */
export const manifestError = signal<string | null>(null);

/** The stack and whatever else was printed, where the fault leaves it out. */
export const manifestDetails = signal<string | null>(null);

/** What was shown first, or was run last: what has been edited since is told against it. */
const known = signal<Manifest | null>(null);

/** Of what is shown, be it the manifest or the fault. */
let etag = "";
let asking: Promise<void> | null = null;

/** Asks for the manifest, once for all that ask at the same time. */
export function loadManifest(): Promise<void> {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

/** As `loadManifest`, but with an answer that is newer than this call. */
export async function reloadManifest(): Promise<void> {
  await asking;
  await loadManifest();
}

export function trainerNamed(
  name: string | undefined,
  from: Manifest | null = manifest.value,
): Trainer | undefined {
  return from?.trainers.find((trainer) => trainer.name === name);
}

/** How a trainer was edited since it was shown first or run last. */
export function editsOf(trainer: Trainer): Change[] {
  return changesOf(trainerNamed(trainer.name, known.value), trainer);
}

/** From now on edits count from what is shown now. */
export function forgetEdits(): void {
  known.value = manifest.peek();
}

async function ask(): Promise<void> {
  try {
    const response = await request("/manifest", etag ? { headers: { "If-None-Match": etag } } : {});
    if (response.status === 304) return;
    manifest.value = (await response.json()) as Manifest;
    known.value ??= manifest.peek();
    etag = response.headers.get("ETag") ?? "";
    manifestError.value = manifestDetails.value = null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) return;
    etag = error instanceof ApiError ? error.etag : "";
    const details = error instanceof ApiError ? error.extra.details : null;
    batch(() => {
      manifestDetails.value = typeof details === "string" ? details : null;
      manifestError.value = errorText(error);
    });
  }
}
