import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import Home from "./pages/home";
import Jobs from "./pages/jobs";
import { type PageName, route } from "./router";

const LAZY: Partial<Record<PageName, () => Promise<{ default: ComponentType }>>> = {
  job: () => import("./pages/job"),
  compare: () => import("./pages/compare"),
  playground: () => import("./pages/playground"),
  endpoints: () => import("./pages/endpoints"),
};

const loaded = new Map<PageName, ComponentType>([
  ["home", Home],
  ["jobs", Jobs],
]);

function Page({ name }: { name: PageName }) {
  const [, again] = useState(0);
  const Known = loaded.get(name);
  useEffect(() => {
    if (loaded.has(name)) return;
    void LAZY[name]?.().then((module) => {
      loaded.set(name, module.default);
      again((count) => count + 1);
    });
  }, [name]);
  return Known ? <Known /> : null;
}

export function App() {
  return (
    <main>
      <Page name={route.value.page} />
    </main>
  );
}
