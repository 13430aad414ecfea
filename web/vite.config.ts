import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { minifySync, type Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Modules in `src/pages/` with several pages, by how their addresses begin; any other lazy page is a folder there. */
const SHARED: Record<string, string[]> = { "curves.ts": ["jobs/", "compare"] };

/** How the addresses begin of the pages that a chunk is loaded for. */
function pagesOf({ facadeModuleId }: { facadeModuleId: string | null }): string[] {
  const [, module = "", folder] =
    /\/src\/pages\/((\w+)\/index\.tsx|\w+\.ts)$/.exec(facadeModuleId ?? "") ?? [];
  return SHARED[module] ?? (folder ? [folder] : []);
}

/**
 * The theme has to stand before the first paint, and the policy forbids inline script: so a tiny classic
 * script, hashed like every asset, is put first in the head. It knows the names of the pages' chunks.
 */
function bootBeforePaint(): Plugin {
  return {
    name: "boot-before-paint",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const page = bundle["index.html"];
      if (page?.type !== "asset") this.error("there is no index.html to put the boot script into");
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
      // What the first load brings anyway: the entry, and what the page names as the entry's imports.
      const first = chunks
        .filter((chunk) => chunk.isEntry)
        .flatMap((chunk) => [chunk.fileName, ...chunk.imports]);
      const files: Record<string, string[]> = {};
      const pages = chunks.flatMap((chunk) => pagesOf(chunk).map((address) => [address, chunk] as const));
      for (const [address, own] of pages) {
        // A set that grows while it is walked: the chunk, what it imports, and what that imports.
        const needed = new Set([own]);
        for (const { imports } of needed) {
          for (const chunk of chunks)
            if (!first.includes(chunk.fileName) && imports.includes(chunk.fileName)) needed.add(chunk);
        }
        files[address] = [...needed].flatMap((chunk) => [
          chunk.fileName,
          ...(chunk.viteMetadata?.importedCss ?? []),
        ]);
      }
      const text = readFileSync(new URL("src/boot.js", import.meta.url), "utf8");
      const source = minifySync("boot.js", text.replace("__CHUNKS__", JSON.stringify(files))).code;
      const reference = this.emitFile({ type: "asset", name: "boot.js", source });
      page.source = String(page.source).replace(
        "<!--boot-->",
        `<script src="/${this.getFileName(reference)}"></script>`,
      );
    },
  };
}

/**
 * Of marked only the lexer, which makes tokens. Its other parts write HTML, which the page never does; they stay in
 * a bundle because the module makes an instance of them at its end.
 */
function onlyTheLexer(): Plugin {
  return {
    name: "only-the-lexer",
    apply: "build",
    transform(code, id) {
      if (!id.endsWith("/marked.esm.js")) return undefined;
      const [, lexer] = /export\{.*?\b(\w+) as Lexer\b/.exec(code) ?? [];
      const end = code.search(/;var \w+=new \w+;function /);
      if (!lexer || end < 0) this.error("marked is another than the one that this was written for");
      return { code: `${code.slice(0, end)};export{${lexer} as Lexer};`, map: null };
    },
  };
}

/**
 * The parts of a page that are loaded when they are needed form one chunk per page: each chunk of its own would take
 * some 300 bytes for names and imports, and compress worse. Modules that they share with others stay where they are.
 */
const LATE_PARTS = [
  {
    name: "shared",
    test: /lib\/(textarea|best-step|download)|controls\/range|chat\/(corrections|preferences)/,
    includeDependenciesRecursively: false,
  },
  { name: "form", test: /pages\/home\/form\/|form\.gen/, includeDependenciesRecursively: false },
  {
    name: "markdown",
    test: /src\/markdown\/|marked\.esm/,
    priority: 1,
    includeDependenciesRecursively: false,
  },
  {
    name: "job-late",
    test: /pages\/job\/(result\.|answers|details\/(machine|configuration)|exports|verdict\/|rollouts|corrections|preferences\/index|dialogs|card\/(text|dialog)|header\/extend-dialog)|chat\/why\/(?!link)|compare\/rows/,
    includeDependenciesRecursively: false,
  },
  {
    name: "again",
    test: /header\/(open-extend|unless-changed|run-again|replay-button)/,
    includeDependenciesRecursively: false,
  },
  {
    name: "playground-late",
    test: /pages\/playground\/(panel\/(more|answer-form|read-schema|preset-form)|thread\/(correct|structured|rated))|lib\/(json-fault|indent-json)|chat\/(training-set|snippets)/,
    includeDependenciesRecursively: false,
  },
  {
    name: "data-late",
    test: /pages\/data\/(edit\/(?!history)|making|meaning|requested|progress|judge\/(?!marks))/,
    includeDependenciesRecursively: false,
  },
];

/** Each asset once more in the forms that browsers take, so that the daemon never compresses while it serves. */
function compressedSiblings(): Plugin {
  return {
    name: "compressed-siblings",
    apply: "build",
    writeBundle({ dir = "" }) {
      const assets = join(dir, "assets");
      for (const name of readdirSync(assets)) {
        const path = join(assets, name);
        const body = readFileSync(path);
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
        };
        writeFileSync(`${path}.br`, brotliCompressSync(body, { params }));
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
      }
    },
  };
}

const TESTS = readdirSync(new URL("src", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => `src/${name}`);

/** What replaces modules, globals or the clock gets modules of its own. The others share them: a third of the work. */
const ALONE = TESTS.filter((name) =>
  /\bvi\.|\bglobalThis\b|\blocalStorage\b/.test(readFileSync(new URL(name, import.meta.url), "utf8")),
);

export default defineConfig({
  plugins: [onlyTheLexer(), bootBeforePaint(), compressedSiblings()],
  build: {
    outDir: "../arkor_dev/static",
    emptyOutDir: true,
    target: "es2022",
    // New enough for light-dark(), which would else be doubled for browsers of 2023.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    // A page's chunks are requested by the boot script, and on this machine what they import takes no time: the lists
    // of their names, which hardly compress, would be a fiftieth of the page.
    modulePreload: {
      polyfill: false,
      resolveDependencies: (_, names, { hostType }) =>
        hostType === "html" ? names : names.filter((name) => name.endsWith(".css")),
    },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // What comes together is one piece: in several it would be larger, and take more requests.
        codeSplitting: {
          groups: [
            { name: "first", tags: ["$initial"] },
            { name: "late", test: /pages\/home\/(forecast|cluster)/ },
            { name: "running", test: /watch-button|pause-notice|home\/(live|elsewhere)/ },
            { name: "setup", test: /pages\/(home\/(first|use-file|upload|data-question)|data\/mapping\/)/ },
            ...LATE_PARTS,
          ],
        },
      },
    },
    sourcemap: false,
  },
  test: {
    environment: "node",
    pool: "threads",
    testTimeout: 60_000, // of a machine that has other things to do
    projects: [
      { extends: true, test: { name: "alone", include: ALONE } },
      { extends: true, test: { name: "together", include: TESTS, exclude: ALONE, isolate: false } },
    ],
  },
});
