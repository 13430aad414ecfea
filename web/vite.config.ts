import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { minifySync, type Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** The lazily loaded pages by how their addresses begin after `#/`: the module that has them. */
const PAGES = {
  "jobs/": "curves.ts",
  compare: "curves.ts",
  data: "data/index.tsx",
  blind: "blind/index.tsx",
  playground: "playground/index.tsx",
  endpoints: "endpoints/index.tsx",
};

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
      for (const [address, name] of Object.entries(PAGES)) {
        const own = chunks.find((chunk) => chunk.facadeModuleId?.endsWith(`/src/pages/${name}`));
        if (!own) this.error(`the page ${name} has no chunk of its own`);
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

export default defineConfig({
  plugins: [bootBeforePaint(), compressedSiblings()],
  build: {
    outDir: "../arkor_dev/static",
    emptyOutDir: true,
    target: "es2022",
    // New enough for light-dark(), which would else be doubled for browsers of 2023.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // What every page begins with is one piece: in several it would be larger, and take more requests.
        codeSplitting: { groups: [{ name: "first", tags: ["$initial"] }] },
      },
    },
    sourcemap: false,
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
});
