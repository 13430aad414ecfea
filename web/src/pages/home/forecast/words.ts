/** A forecast in words. Pure. */
import type { Forecast, ForecastMemory } from "../../../contract.gen";
import { bytes, duration, plural } from "../../../lib/format";

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

/** `peak 1.7 GB of 20.1 GB free`, `48.9 MB on disk`; and what else a reader would not expect, such as rows cut. */
export function forecastNotes(forecast: Forecast, byEpochs: boolean): string[] {
  const { steps, rows, lookedAtRows, cutRows, diskBytes } = forecast;
  const memory = tight(forecast);
  const notes: string[] = [];
  // Who trains by epochs has not said how many steps that is.
  if (byEpochs && typeof steps === "number") notes.push(plural(steps, "step"));
  if (memory) notes.push(memoryWords(memory));
  if (typeof diskBytes === "number") notes.push(`${bytes(diskBytes)} on disk`);
  // Of a large data set only a sample was read.
  const about = (lookedAtRows ?? 0) < (rows ?? 0) ? "about " : "";
  if (typeof cutRows === "number" && cutRows > 0) notes.push(`${about}${plural(cutRows, "row")} truncated`);
  return notes;
}

/** Why it does not fit; null if it does, or if that is unknown. */
export function shortage(forecast: Forecast): string | null {
  if (forecast.fits !== false) return null;
  const memory = tight(forecast);
  const { diskBytes, freeDiskBytes } = forecast;
  if (typeof freeDiskBytes === "number" && typeof diskBytes === "number" && diskBytes >= freeDiskBytes)
    return `Its checkpoints take ${bytes(diskBytes)}, and ${bytes(freeDiskBytes)} of the disk are free.`;
  return `It needs ${bytes(memory?.peakBytes)} of memory, and ${bytes(memory?.freeBytes)} are free.`;
}
