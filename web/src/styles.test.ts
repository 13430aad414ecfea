/** The stylesheet is split by page: what a page draws has its styles in what the page itself imports, or in the first load. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname);
const files = (readdirSync(ROOT, { recursive: true }) as string[]).map((name) => join(ROOT, name));
const modules = files.filter((path) => /\.tsx?$/.test(path) && !/\.(test|gen)\.tsx?$/.test(path));
const text = new Map(modules.map((path) => [path, readFileSync(path, "utf8")]));

function target(from: string, spec: string): string | undefined {
  const base = resolve(from, "..", spec);
  return [base, `${base}.ts`, `${base}.tsx`, join(base, "index.ts"), join(base, "index.tsx")].find(
    (path) => existsSync(path) && statSync(path).isFile(),
  );
}

function imports(path: string, pattern: RegExp): string[] {
  const specs = [...(text.get(path) ?? "").matchAll(pattern)].map(([, spec]) => target(path, spec!));
  return specs.filter((path) => path !== undefined);
}

const STATIC = /^(?:import|export)\s(?!type\s)(?:[^;"]*?from\s+)?"(\.[^"]*)"/gm;

/** A module and all that it imports, styles included, but for what it loads later. */
function closure(...entries: string[]): Set<string> {
  const seen = new Set(entries); // grows while it is walked
  for (const path of seen) for (const next of imports(path, STATIC)) seen.add(next);
  return seen;
}

// The registry takes in each page's record, and with it a page of the first load.
const records = modules.filter((path) => /[\\/]pages[\\/]\w+[\\/]page\.ts$/.test(path));
const first = closure(join(ROOT, "main.tsx"), ...records);
const later = new Map<string, Set<string>>(); // by whom each is loaded
for (const path of modules) {
  for (const loaded of imports(path, /import\(\s*"(\.[^"]*)"\s*\)/g)) {
    later.set(loaded, (later.get(loaded) ?? new Set()).add(path));
  }
}
const closures = new Map([...later.keys()].map((path) => [path, closure(path)]));

/** The styles that are surely there once `entry` is drawn: its own, and those of whatever loads it. */
function available(entry: string, depth = 0): Set<string> {
  const own = new Set([...first, ...closures.get(entry)!]);
  const loaders = [...later.get(entry)!].flatMap((path) =>
    first.has(path)
      ? [first]
      : [...closures].filter(([, all]) => all.has(path)).map(([name]) => available(name, depth + 1)),
  );
  const common =
    depth > 4 ? [] : [...(loaders[0] ?? [])].filter((path) => loaders.every((all) => all.has(path)));
  return new Set([...own, ...common]);
}

const defined = new Map<string, string[]>();
for (const path of files.filter((name) => name.endsWith(".css"))) {
  for (const [, name] of readFileSync(path, "utf8")
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .matchAll(/\.([a-z]+(?:-[\w]+)+)/g))
    defined.set(name!, [...(defined.get(name!) ?? []), path]);
}

test("every part of the page imports the styles of its classes", () => {
  const missing: string[] = [];
  for (const [entry, all] of closures) {
    const styles = available(entry);
    for (const path of all) {
      for (const [words] of (text.get(path) ?? "").matchAll(/"[^"\n]*"|`[^`]*`/g)) {
        for (const name of words.match(/[a-z]+(?:-\w+)+/g) ?? []) {
          const where = defined.get(name);
          if (where && !where.some((css) => styles.has(css)))
            missing.push(`${relative(ROOT, entry)}: ${name} of ${relative(ROOT, where[0]!)}`);
        }
      }
    }
  }
  expect(defined.size).toBeGreaterThan(300);
  expect(closures.size).toBeGreaterThan(20);
  expect([...new Set(missing)]).toEqual([]);
});
