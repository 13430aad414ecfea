/** The project's trainers, which show an edit as soon as it is saved. */
import { batch, signal } from "@preact/signals";
import { ApiError, api, errorText, isAbort, type Options, request } from "../api/client";
import { hiddenSignal } from "../api/stream-slots";
import type { Manifest, Trainer } from "../contract.gen";
import { locked } from "../lib/locks";
import { poll } from "./poll";
import { type Change, changesOf } from "./trainer-changes";

const POLL_MS = 2000;
const AGAIN_MS = 100;
const WAIT = "wait=20";

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

/** Keeps it current until the returned function is called: one tab's request waits for edits, the others poll. */
export function followManifest(): () => void {
  let waits = false;
  let waiting = new AbortController();
  const read = (): Promise<void> =>
    locked("arkor.project", { ifAvailable: true }, (alone) => {
      waits = alone && etag !== "";
      if (!waits) return loadManifest();
      waiting = new AbortController();
      hiddenSignal().addEventListener("abort", () => waiting.abort());
      return ask({ headers: { Prefer: WAIT }, signal: waiting.signal });
    });
  const reading = poll(read, () => (waits ? AGAIN_MS : POLL_MS));
  return () => {
    reading.stop();
    waiting.abort();
  };
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

/** A trainer as first shown or last run. */
export const firstRead = (name: string): Trainer | undefined => trainerNamed(name, known.value);

/** How a trainer was edited since it was first shown or last run. */
export function editsOf(trainer: Trainer): Change[] {
  return changesOf(firstRead(trainer.name), trainer);
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

async function ask(options: Options = {}): Promise<void> {
  try {
    const cached = etag && { "If-None-Match": etag };
    const response = await request("/manifest", { ...options, headers: { ...options.headers, ...cached } });
    if (response.status === 304) return;
    manifest.value = (await response.json()) as Manifest;
    known.value ??= manifest.peek();
    etag = response.headers.get("ETag") ?? "";
    manifestError.value = manifestDetails.value = null;
  } catch (error) {
    if (isAbort(error) || (error instanceof ApiError && error.status === 0)) return;
    etag = error instanceof ApiError ? error.etag : "";
    const details = error instanceof ApiError ? error.extra.details : null;
    batch(() => {
      manifestDetails.value = typeof details === "string" ? details : null;
      manifestError.value = errorText(error);
    });
  }
}
