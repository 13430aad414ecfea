/** Chart settings: they apply immediately, and are written to the address after a pause. */
import { useEffect, useRef, useState } from "preact/hooks";
import { route, setQuery } from "../router";
import { DEFAULTS, readSettings, type Settings, writeSettings } from "./geometry/settings";

/** Browsers allow about a hundred history calls in ten seconds, and a wheel turn makes as many. */
const REST_MS = 250;

export function useSettings(defaults: Settings = DEFAULTS): [Settings, (change: Partial<Settings>) => void] {
  const query = route.value.query;
  const [settings, set] = useState(() => readSettings(query, defaults));
  const written = useRef(textOf(settings, defaults));
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const home = useRef(route.peek().path);

  // The address was changed from outside: by the back button, or by a link to another view of this page.
  const fromAddress = textOf(readSettings(query, defaults), defaults);
  useEffect(() => {
    if (fromAddress === written.current || timer.current !== undefined) return;
    written.current = fromAddress;
    set(readSettings(query, defaults));
  }, [fromAddress]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const change = (part: Partial<Settings>): void => {
    set((old) => {
      const next = { ...old, ...part };
      clearTimeout(timer.current);
      timer.current = setTimeout(() => {
        timer.current = undefined;
        if (route.peek().path !== home.current) return;
        written.current = textOf(next, defaults);
        setQuery(writeSettings(next, defaults));
      }, REST_MS);
      return next;
    });
  };
  return [settings, change];
}

function textOf(settings: Settings, defaults: Settings): string {
  return JSON.stringify(writeSettings(settings, defaults));
}
