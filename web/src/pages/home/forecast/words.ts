/** A forecast in words. Pure. */
import type { Forecast, ForecastMemory } from "../../../contract.gen";
import { bytes, duration, number, plural } from "../../../lib/format";

/** `About 1 min 50 s`: no more exact than a forecast is. */
export function timeWords(seconds: number): string {
  const step = seconds < 60 ? 1 : seconds < 600 ? 5 : 60;
  return `About ${duration(Math.max(step, Math.round(seconds / step) * step) * 1000)}`;
}

/** `peak 1.7 GB of 20.1 GB free` */
export function memoryWords({ peakBytes, freeBytes }: ForecastMemory): string {
  const peak = `peak ${bytes(peakBytes)}`;
  return typeof freeBytes === "number" ? `${peak} of ${bytes(freeBytes)} free` : peak;
}

/** What is short where the job would be computed: a GPU's memory, or the machine's. */
export const tight = (forecast: Forecast): ForecastMemory | undefined => forecast.device ?? forecast.memory;

/** `About 1 min 50 s · peak 1.7 GB of 20.1 GB free · 5,710 tokens to learn · no row cut · 49 MB of checkpoints` */
export function forecastWords(forecast: Forecast): string {
  const { seconds, learnedTokens, rows, lookedAtRows, cutRows, diskBytes } = forecast;
  const memory = tight(forecast);
  const parts: string[] = [];
  if (typeof seconds === "number") parts.push(timeWords(seconds));
  if (memory) parts.push(memoryWords(memory));
  // Of a large data set only a sample was looked at.
  const about = (lookedAtRows ?? 0) < (rows ?? 0) ? "about " : "";
  if (typeof learnedTokens === "number") parts.push(`${about}${number(learnedTokens)} tokens to learn`);
  if (typeof cutRows === "number")
    parts.push(cutRows > 0 ? `${about}${plural(cutRows, "row")} cut` : "no row cut");
  if (typeof diskBytes === "number") parts.push(`${bytes(diskBytes)} on disk`);
  return parts.join(" · ");
}

/** Why it does not fit; null where it does, or where nobody can say. */
export function shortage(forecast: Forecast): string | null {
  if (forecast.fits !== false) return null;
  const memory = tight(forecast);
  const { diskBytes, freeDiskBytes } = forecast;
  if (typeof freeDiskBytes === "number" && typeof diskBytes === "number" && diskBytes >= freeDiskBytes)
    return `Its checkpoints take ${bytes(diskBytes)}, and ${bytes(freeDiskBytes)} of the disk are free.`;
  return `It needs ${bytes(memory?.peakBytes)} of memory, and ${bytes(memory?.freeBytes)} are free.`;
}
