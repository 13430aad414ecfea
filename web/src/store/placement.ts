/** Where the next training runs. */
import { signal } from "@preact/signals";

/** `here` where somebody has chosen this machine, else as launch and file say. */
export const chosenPlacement = signal<"here" | undefined>(undefined);

/** The cluster that launch or file name, once that is known. */
export const configuredCluster = signal<string | null>(null);

/** The part of a job's config that says where it runs. */
export const placementConfig = (): { cluster?: string } =>
  configuredCluster.value !== null && chosenPlacement.value !== "here"
    ? { cluster: configuredCluster.value }
    : {};
