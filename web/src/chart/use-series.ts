/** The series behind a chart, kept from one drawing to the next so that a live update only takes what is new. */
import { useRef } from "preact/hooks";
import { Series } from "./data/series";
import type { Settings } from "./geometry/settings";
import type { Track } from "./geometry/track";
import type { TrackSeries } from "./geometry/visible-range";

/** A curve of fewer steps is seen whole, and smoothing would only hide its first ones. */
const SHORT_RUN = 100;
const WEIGHT = 0.6;

/** The moving average's weight: as it was chosen, else by the longest run; `until` is the last step that is to come. */
export function smoothingWeight({ smooth }: Settings, tracks: readonly Track[], until = 0): number {
  if (smooth !== null) return smooth;
  return tracks.some(({ rows }) => Math.max(until, rows.step.last()) >= SHORT_RUN) ? WEIGHT : 0;
}

export function useSeries(tracks: readonly Track[], settings: Settings, until?: number): TrackSeries[] {
  const smooth = smoothingWeight(settings, tracks, until);
  const kept = useRef(new Map<string, Series>());
  const used = new Map<string, Series>();
  const lines = tracks.map((track) => {
    // Eval points are few and mean themselves; smoothing them, or a schedule, would show what was never measured.
    const weight = track.metric === "loss" ? smooth : 0;
    const key = [track.key, track.metric, settings.x, track.origin, weight].join(" ");
    let line = kept.current.get(key);
    if (line === undefined || line.source !== track.rows || line.outdated) {
      line = new Series(track.rows, track.metric, settings.x, track.origin, weight);
    }
    line.extend();
    used.set(key, line);
    return { track, line };
  });
  kept.current = used;
  return lines;
}
