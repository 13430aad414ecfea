/** The series behind a chart, kept between drawings so that a live update only adds new points. */
import { useRef } from "preact/hooks";
import { Series } from "./data/series";
import type { Settings } from "./geometry/settings";
import type { Track } from "./geometry/track";
import type { TrackSeries } from "./geometry/visible-range";

/** Shorter runs are not smoothed by default: smoothing would hide their first steps. */
const SHORT_RUN = 100;
const WEIGHT = 0.6;

/** The moving average's weight: as chosen, else by the length of the longest run. `until`: the last expected step. */
export function smoothingWeight({ smooth }: Settings, tracks: readonly Track[], until = 0): number {
  if (smooth !== null) return smooth;
  return tracks.some(({ rows }) => Math.max(until, rows.step.last()) >= SHORT_RUN) ? WEIGHT : 0;
}

export function useSeries(tracks: readonly Track[], settings: Settings, until?: number): TrackSeries[] {
  const smooth = smoothingWeight(settings, tracks, until);
  const cache = useRef(new Map<string, Series>());
  const used = new Map<string, Series>();
  const lines = tracks.map((track) => {
    // Evaluations and learning rates are never smoothed: that would show values that were not measured.
    const weight = track.metric === "loss" ? smooth : 0;
    const { origin, shift = 0 } = track;
    const key = [track.key, track.metric, settings.x, origin, shift, weight].join(" ");
    let series = cache.current.get(key);
    if (series === undefined || series.source !== track.rows || series.outdated) {
      series = new Series(track.rows, track.metric, settings.x, origin, weight, shift);
    }
    series.extend();
    used.set(key, series);
    return { track, series };
  });
  cache.current = used;
  return lines;
}
