import type { EngineSetup } from "../../../contract.gen";
import { bytes } from "../../../lib/format";
import { clean } from "../../../lib/text";

export const isActive = ({ state }: EngineSetup): boolean => state === "looking" || state === "installing";

/** The state, in a sentence. */
export function stateWords({ state, progress, next }: EngineSetup): string {
  if (state === "looking") return "Looking for the PyTorch that suits this machine …";
  if (state === "installing") {
    if (!progress) return "Starting the installation …";
    const { fetched, unpacked, now } = progress;
    const file = clean(now, 200).replace(/-(py|cp)\d\S*\.whl/, "");
    return `${bytes(fetched)} downloaded, ${bytes(unpacked)} unpacked · ${file}`;
  }
  if (state === "installed")
    return next === null ? "Installed. The local backend is starting …" : "Installed.";
  return "";
}

/** The share that is done, from 0 to 1; null if the size of the build is unknown. */
export function share({ plan, progress }: EngineSetup): number | null {
  if (!plan?.disk || !progress) return null;
  return Math.min(1, (progress.fetched + progress.unpacked) / ((plan.fetch ?? 0) + plan.disk));
}
