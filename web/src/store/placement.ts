/** The target of the next training. */
import { signal } from "@preact/signals";

/** `here` if the user has chosen this machine, else the launch's or the file's. */
export const chosenPlacement = signal<"here" | undefined>(undefined);

/** The launch's or the file's cluster, once known. */
export const configuredCluster = signal<string | null>(null);

/** The placement fields of a job's config. */
export const placementConfig = (): { cluster?: string } =>
  configuredCluster.value !== null && chosenPlacement.value !== "here"
    ? { cluster: configuredCluster.value }
    : {};
