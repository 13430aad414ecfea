/** Chart settings. They are stored in the page's address, so that a view can be shared and survives a reload. */
import type { XMode } from "../data/series";
import type { Span } from "./zoom-range";

export interface Settings {
  x: XMode;
  log: boolean;
  /** Weight of the moving average, 0 to 0.999; 0 is off, null depends on the length of the run (`smoothingWeight`). */
  smooth: number | null;
  /** The learning rate, on its own axis. */
  lr: boolean;
  /** The visible x range, in the units of `x`; null shows everything, and follows a live run. */
  zoom: Span | null;
  /** Keys of the curves that are hidden in the legend. */
  hidden: readonly string[];
}

export const DEFAULTS: Settings = { x: "step", log: false, smooth: null, lr: false, zoom: null, hidden: [] };
const MODES: readonly XMode[] = ["step", "epoch", "elapsed", "wall"];
const MAX_SMOOTH = 0.999;

/** Ignores invalid values. */
export function readSettings(query: URLSearchParams, defaults: Settings = DEFAULTS): Settings {
  const x = MODES.find((mode) => mode === query.get("x")) ?? defaults.x;
  const smooth = query.get("smooth") === null ? NaN : Number(query.get("smooth"));
  const [from = NaN, to = NaN] = (query.get("zoom") ?? "")
    .split("..")
    .map((part) => (part === "" ? NaN : Number(part)));
  return {
    x,
    log: query.get("y") === "log",
    smooth: smooth >= 0 && smooth <= MAX_SMOOTH ? smooth : defaults.smooth,
    lr: query.get("lr") === "1",
    zoom: from < to && Number.isFinite(to - from) ? [from, to] : null,
    hidden: (query.get("hide") ?? "").split(",").filter(Boolean),
  };
}

/** Keeps enough digits to distinguish a thousandth of the range. */
function edgeText(edge: number, [from, to]: Span): string {
  const digits = Math.ceil(Math.log10(Math.max(Math.abs(from), Math.abs(to)) / (to - from))) + 4;
  return String(Number(edge.toPrecision(Math.min(17, Math.max(6, digits)))));
}

/** The argument for `setQuery`: null for each default value. */
export function writeSettings(
  settings: Settings,
  defaults: Settings = DEFAULTS,
): Record<string, string | null> {
  return {
    x: settings.x === defaults.x ? null : settings.x,
    y: settings.log ? "log" : null,
    smooth: settings.smooth === defaults.smooth ? null : String(settings.smooth),
    lr: settings.lr ? "1" : null,
    zoom:
      settings.zoom === null ? null : settings.zoom.map((edge) => edgeText(edge, settings.zoom!)).join(".."),
    hide: settings.hidden.join(",") || null,
  };
}
