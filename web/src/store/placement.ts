/** The target of the next training. */
import { signal } from "@preact/signals";

/** `here` if a person chose this machine, else undefined: the launch or the file decides. */
export const chosenPlacement = signal<"here" | undefined>(undefined);

/** The cluster that the launch or the file names, once known. */
export const configuredCluster = signal<string | null>(null);

/** The placement fields of a job's config. */
export const placementConfig = (): { cluster?: string } =>
  configuredCluster.value !== null && chosenPlacement.value !== "here"
    ? { cluster: configuredCluster.value }
    : {};
