/** The project's trainers; read again whenever the window gets the focus, for example after an edit. */
import { batch, signal } from "@preact/signals";
import { ApiError, api, errorText, request } from "../api/client";
import type { Manifest, Trainer } from "../contract.gen";
import { type Change, changesOf } from "./trainer-changes";

export const manifest = signal<Manifest | null>(null);

/** The daemon's error if the trainers are unreadable. */
export const manifestError = signal<string | null>(null);

/** The stack trace and other output that the error leaves out. */
export const manifestDetails = signal<string | null>(null);

/** The trainers as first shown or last run; edits are compared with them. */
const known = signal<Manifest | null>(null);

/** The revision of the displayed manifest or error. */
let etag = "";
let pending: Promise<void> | null = null;

/** Reads the manifest; concurrent calls share one request. */
export function loadManifest(): Promise<void> {
  pending ??= ask().finally(() => {
    pending = null;
  });
  return pending;
}

/** Like `loadManifest`, but with a response newer than this call. */
export async function reloadManifest(): Promise<void> {
  await pending;
  await loadManifest();
}

export function trainerNamed(
  name: string | undefined,
  from: Manifest | null = manifest.value,
): Trainer | undefined {
  return from?.trainers.find((trainer) => trainer.name === name);
}

/** The trainer that a job is named after: its jobs are `NAME`, `NAME #2`, `NAME #3`. */
export function trainerOfJob(name: string): Trainer | undefined {
  return trainerNamed(name) ?? trainerNamed(name.replace(/ #[1-9]\d{0,8}$/, ""));
}

/** How a trainer was edited since it was first shown or last run. */
export function editsOf(trainer: Trainer): Change[] {
  return changesOf(trainerNamed(trainer.name, known.value), trainer);
}

/** Compares later edits with the displayed manifest. */
export function forgetEdits(): void {
  known.value = manifest.peek();
}

/** Writes the file's text back from before the write that led to `revision`. */
export async function undoWrite(revision: string): Promise<void> {
  await api("/manifest/undo", { method: "POST", body: { revision } });
  await reloadManifest();
  forgetEdits();
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
