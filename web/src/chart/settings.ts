/** Chart settings. They are stored in the page's address, so that a view can be shared and survives a reload. */
import { useEffect, useRef, useState } from "preact/hooks";
import { route, setQuery } from "../router";

export const MODES = ["step", "epoch", "elapsed", "wall"] as const;
export type XMode = (typeof MODES)[number];
export type Span = readonly [from: number, to: number];

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
const MAX_SMOOTH = 0.999;

/** Ignores invalid values. */
export function readSettings(query: URLSearchParams): Settings {
  const smooth = Number.parseFloat(query.get("smooth") ?? "");
  const [from = NaN, to = NaN] = (query.get("zoom") ?? "").split("..").map(Number.parseFloat);
  return {
    x: MODES.find((mode) => mode === query.get("x")) ?? DEFAULTS.x,
    log: query.get("y") === "log",
    smooth: smooth >= 0 && smooth <= MAX_SMOOTH ? smooth : null,
    lr: query.get("lr") === "1",
    zoom: from < to && Number.isFinite(to - from) ? [from, to] : null,
    hidden: (query.get("hide") ?? "").split(",").filter(Boolean),
  };
}

/** The argument for `setQuery`: null for each default value. */
export function writeSettings({ x, log, smooth, lr, zoom, hidden }: Settings): Record<string, string | null> {
  return {
    x: x === DEFAULTS.x ? null : x,
    y: log ? "log" : null,
    smooth: smooth === null ? null : String(smooth),
    lr: lr ? "1" : null,
    zoom: zoom?.map((edge) => edgeText(edge, zoom)).join("..") ?? null,
    hide: hidden.join(",") || null,
  };
}

/** To a ten-thousandth of the range. */
function edgeText(edge: number, [from, to]: Span): string {
  return String(Number(edge.toFixed(Math.min(20, Math.max(0, 4 - Math.floor(Math.log10(to - from)))))));
}

/** Browsers allow about a hundred history calls in ten seconds, and a wheel turn makes as many. */
const REST_MS = 250;

/** Settings that apply immediately and are written to the address after a pause. */
export function useSettings(): [Settings, (change: Partial<Settings>) => void] {
  const { query } = route.value;
  const [settings, set] = useState(() => readSettings(query));
  const written = useRef(textOf(settings));
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const home = useRef(route.peek().path);

  // The address was changed from outside: by the back button, or by a link to another view of this page.
  const fromAddress = textOf(readSettings(query));
  useEffect(() => {
    if (fromAddress === written.current || timer.current !== undefined) return;
    written.current = fromAddress;
    set(readSettings(query));
  }, [fromAddress]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const change = (part: Partial<Settings>): void => {
    set((old) => {
      const next = { ...old, ...part };
      clearTimeout(timer.current);
      timer.current = setTimeout(() => {
        timer.current = undefined;
        if (route.peek().path !== home.current) return;
        written.current = textOf(next);
        setQuery(writeSettings(next));
      }, REST_MS);
      return next;
    });
  };
  return [settings, change];
}

const textOf = (settings: Settings): string => JSON.stringify(writeSettings(settings));
