import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { errorText } from "./api/client";
// Two lazy pages share it: as a separate chunk it would be smaller than its request.
import "./events/sse";
import Home from "./pages/home";
import Jobs from "./pages/jobs";
import { Missing } from "./pages/missing";
import { type PageName, route } from "./router";
import { Shell } from "./shell/shell";
import { setTitle } from "./store/document-title";
import { ErrorNote } from "./ui/empty";
import { Skeleton } from "./ui/skeleton";

interface PageModule {
  default: ComponentType;
  /** Resolves when the page's first content has arrived. */
  ready?: () => Promise<void>;
}

const LAZY: Partial<Record<PageName, () => Promise<PageModule>>> = {
  job: async () => {
    const { Job, ready } = await import("./pages/curves");
    return { default: Job, ready };
  },
  compare: async () => ({ default: (await import("./pages/curves")).Compare }),
  data: () => import("./pages/data"),
  blind: () => import("./pages/blind"),
  playground: () => import("./pages/playground"),
  endpoints: () => import("./pages/endpoints"),
};

/** Resolves when the requested page can be drawn in one go: its code and its first content are there. */
export async function preload(): Promise<void> {
  const { page } = route.peek();
  const module = await LAZY[page]?.();
  if (module === undefined) return;
  loaded.set(page, module.default);
  await module.ready?.();
}

const loaded = new Map<PageName, ComponentType>([
  ["home", Home],
  ["jobs", Jobs],
  ["missing", Missing],
]);

function Page({ name }: { name: PageName }) {
  const [failed, setFailed] = useState<string | null>(null);
  const [, again] = useState(0);
  useLayoutEffect(() => {
    setFailed(null);
    if (loaded.has(name)) return;
    LAZY[name]?.().then(
      (module) => {
        loaded.set(name, module.default);
        again((count) => count + 1);
      },
      (error: unknown) => setFailed(errorText(error)),
    );
  }, [name]);
  const Known = loaded.get(name);
  if (Known) return <Known />;
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
