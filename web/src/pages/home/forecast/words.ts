/** Describes an estimate. Pure. */
import type { Forecast, ForecastMemory } from "../../../contract.gen";
import { bytes, duration, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { lowerFirst } from "../../../store/trainer-changes";

/** `About 1 min 50 s`: only as precise as an estimate can be. */
export function timeWords(seconds: number): string {
  const step = seconds < 60 ? 1 : seconds < 600 ? 5 : 60;
  return `About ${duration(Math.max(step, Math.round(seconds / step) * step) * 1000)}`;
}

/** `peak 1.7 GB of 20.1 GB free` */
export function memoryWords({ peakBytes, freeBytes }: ForecastMemory): string {
  const peak = `peak ${bytes(peakBytes)}`;
  return typeof freeBytes === "number" ? `${peak} of ${bytes(freeBytes)} free` : peak;
}

/** The limiting memory: a GPU's, or the machine's. */
export const tight = (forecast: Forecast): ForecastMemory | undefined => forecast.device ?? forecast.memory;

/** `peak 1.7 GB of 20.1 GB free`, `48.9 MB on disk`; and anything unexpected, such as truncated rows. */
export function forecastNotes(forecast: Forecast, byEpochs: boolean): string[] {
  const { steps, rows, lookedAtRows, cutRows, diskBytes, streaming } = forecast;
  const memory = tight(forecast);
  const notes: string[] = [];
  // Training by epochs leaves the number of steps open.
  if (byEpochs && typeof steps === "number") notes.push(plural(steps, "step"));
  for (const note of forecast.notes ?? []) notes.push(clean(note, 200));
  if (memory) notes.push(memoryWords(memory) + (streaming ? " with streaming" : ""));
  if (streaming?.slower) notes.push(`${streaming.slower.toFixed(1)} times as long`);
  if (forecast.gpus) notes.push(`spread over ${plural(forecast.gpus.length, "GPU")}`);
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

/** What an estimate is doing; a model keeps its name. */
export function progressWords({ progress }: Forecast): string {
  const label = "Estimating time and memory";
  if (!progress) return `${label} …`;
  if (progress.unit !== "steps" || !progress.total)
    return `${label}: ${lowerFirst(clean(progress.label, 80))} …`;
  return `${label}: step ${progress.done} of ${progress.total}`;
}
