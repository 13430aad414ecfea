/** The target of the next training. */
import { signal } from "@preact/signals";

/** `here` if the user has chosen this machine, else the launch's or the file's. */
export const chosenPlace = signal<"here" | undefined>(undefined);

/** The launch's or the file's cluster, once known. */
export const namedCluster = signal<string | null>(null);

/** The placement fields of a job's config. */
export const placeConfig = (): { cluster?: string } =>
  namedCluster.value !== null && chosenPlace.value !== "here" ? { cluster: namedCluster.value } : {};
