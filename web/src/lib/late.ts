/** Parts of a page whose code is loaded when they are first shown. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** A hook that returns the module once it is `wanted` and loaded, and null otherwise. */
export function late<Module>(load: () => Promise<Module>): (needed: boolean) => Module | null {
  const code = signal<Module | null>(null);
  return (needed) => {
    useEffect(() => {
      if (needed)
        void load().then((module) => {
          code.value = module;
        });
    }, [needed]);
    return needed ? code.value : null;
  };
}
