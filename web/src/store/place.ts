/** Where the next training runs. */
import { signal } from "@preact/signals";

/** `here` where somebody has chosen this machine, else as launch and file say. */
export const chosenPlace = signal<"here" | undefined>(undefined);

/** The cluster that launch or file name, once that is known. */
export const namedCluster = signal<string | null>(null);

/** The part of a job's config that says where it runs. */
export const placeConfig = (): { cluster?: string } =>
  namedCluster.value !== null && chosenPlace.value !== "here" ? { cluster: namedCluster.value } : {};
