import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { errorText } from "./api/client";
import { MISSING, PAGES, type PageModule } from "./pages/registry";
import { route } from "./router";
import { Shell } from "./shell/shell";
import { setTitle } from "./store/document-title";
import { ErrorNote } from "./ui/empty";
import { Skeleton } from "./ui/skeleton";

const loaded = new Map<string, ComponentType>();

async function load(name: string): Promise<PageModule | undefined> {
  const module = await PAGES.get(name)?.load?.();
  if (module) loaded.set(name, module.default);
  return module;
}

/** Resolves when the current page can be drawn completely: its code and its first data have arrived. */
export async function preload(): Promise<void> {
  const module = await load(route.peek().page);
  await module?.ready?.();
}

function Page({ name }: { name: string }) {
  const [failed, setFailed] = useState<string | null>(null);
  const [, again] = useState(0);
  const { view, load: lazy } = PAGES.get(name) ?? MISSING;
  const View = view ?? loaded.get(name);
  useLayoutEffect(() => {
    setFailed(null);
    if (lazy && !loaded.has(name))
      load(name).then(
        () => again((count) => count + 1),
        (error: unknown) => setFailed(errorText(error)),
      );
  }, [name]);
  if (View) return <View />;
  if (failed)
    return <ErrorNote title="This page could not be loaded" error={failed} retry={() => location.reload()} />;
  return <Skeleton lines={6} height={18} />;
}

const PATIENCE_MS = 10_000;

/** After a change of page, a screen reader starts at its heading; the first load keeps the browser's behaviour. */
function useFocusOnChange(path: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return undefined;
    }
    const until = performance.now() + PATIENCE_MS;
    let frame = 0;
    // A page still loading has no heading yet; one that places the focus itself keeps it.
    const look = (): void => {
      if (document.querySelector("main")?.contains(document.activeElement)) return;
      const name = document.querySelector<HTMLElement>("main h1");
      if (name) name.focus({ preventScroll: true });
      else if (performance.now() < until) frame = requestAnimationFrame(look);
    };
    frame = requestAnimationFrame(look);
    return () => cancelAnimationFrame(frame);
  }, [path]);
}

export function App() {
  const { page, path } = route.value;
  useFocusOnChange(path);
  // Runs before the new page's own effects, which set its title.
  useLayoutEffect(() => setTitle(""), [page]);
  return (
    <Shell>
      <Page key={page} name={page} />
    </Shell>
  );
}
