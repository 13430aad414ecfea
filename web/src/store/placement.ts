/** The target of the next training. */
import { signal } from "@preact/signals";

/** `here` if a person chose this machine, else undefined: the launch or the file decides. */
export const chosenPlacement = signal<"here" | undefined>(undefined);

/** The cluster that the launch or the file names, once known. */
export const configuredCluster = signal<string | null>(null);

/** What only the file names for that cluster, and nobody has agreed to use. */
export const untrusted = signal<readonly string[]>([]);

/** Whether a training would start where nobody has agreed to use the machines. */
export const needsTrust = (): boolean => untrusted.value.length > 0 && chosenPlacement.value !== "here";

/** The placement fields of a job's config. */
export const placementConfig = (): { cluster?: string } =>
  configuredCluster.value !== null && chosenPlacement.value !== "here"
    ? { cluster: configuredCluster.value }
    : {};
