/** Requests a job's forecast, and polls until it is known. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, errorText } from "../../../api/client";
import type { Forecast, JobConfig } from "../../../contract.gen";
import { poll } from "../../../store/poll";

/** While the user types, every letter would be another request. */
const TYPING_MS = 700;
const MEASURING_MS = 500;
const WAITING_MS = 3000;
/** Free memory changes with every program. */
const KNOWN_MS = 15_000;

interface Asked {
  forecast: Forecast | null;
  /** Stops the measurement; no other is requested until the settings change, or `again`. */
  cancel: () => void;
  cancelled: boolean;
  again: () => void;
}

export function useForecast(config: JobConfig): Asked {
  const key = JSON.stringify(config);
  const [forecast, setForecast] = useState<Forecast | null>(null);
  const [cancelled, setCancelled] = useState<string | null>(null);
  const current = useRef<Forecast | null>(null);
  const over = cancelled === key;
  useEffect(() => {
    if (over) return undefined;
    let stopped = false;
    const take = (next: Forecast): void => {
      if (stopped) return;
      current.current = next;
      setForecast(next);
    };
    const ask = async (): Promise<void> => {
      try {
        const body = { config: JSON.parse(key) as JobConfig };
        take((await api<{ forecast: Forecast }>("/forecast", { method: "POST", body })).forecast);
      } catch (problem) {
        // The state of the daemon is shown elsewhere; a known forecast stays.
        if (!(problem instanceof ApiError) || problem.status !== 0)
          take({ state: "failed", error: errorText(problem) });
      }
    };
    const every = (): number => {
      const state = current.current?.state;
      return state === "measuring" ? MEASURING_MS : state === "waiting" ? WAITING_MS : KNOWN_MS;
    };
    let polling: ReturnType<typeof poll> | undefined;
    const begin = (): void => {
      polling = poll(ask, every);
    };
    const timer = setTimeout(begin, current.current ? TYPING_MS : 0);
    return () => {
      stopped = true;
      clearTimeout(timer);
      polling?.stop();
      forget(current.current);
      if (current.current) current.current = withoutId(current.current);
    };
  }, [key, over]);
  return {
    forecast,
    cancelled: over,
    cancel: () => setCancelled(key),
    again: () => setCancelled(null),
  };
}

/** The forecast without its id, so that it is not discarded a second time. */
function withoutId(forecast: Forecast): Forecast {
  const { id: _, ...rest } = forecast;
  return rest;
}

/** A measurement without a reader is not worth the processor time. */
function forget(forecast: Forecast | null): void {
  if (forecast?.id === undefined || (forecast.state !== "measuring" && forecast.state !== "waiting")) return;
  void api(`/forecast/${encodeURIComponent(forecast.id)}`, { method: "DELETE" }).catch(() => undefined);
}
