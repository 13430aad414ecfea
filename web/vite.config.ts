import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/**
 * The theme has to stand before the first paint, and the policy forbids inline script: so a tiny
 * classic script, hashed like every asset, is put first in the head.
 */
function themeBeforePaint(): Plugin {
  return {
    name: "theme-before-paint",
    apply: "build",
    buildStart() {
      const source = readFileSync(new URL("src/theme-boot.js", import.meta.url), "utf8");
      this.emitFile({ type: "asset", name: "theme.js", source });
    },
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle = {} }) {
        const theme = Object.values(bundle).find((file) => file.type === "asset" && file.names.includes("theme.js"));
        return theme ? html.replace("<!--theme-->", `<script src="/${theme.fileName}"></script>`) : html;
      },
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
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length };
        writeFileSync(`${path}.br`, brotliCompressSync(body, { params }));
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [themeBeforePaint(), compressedSiblings()],
  build: {
    outDir: "../arkor_dev/static",
    emptyOutDir: true,
    target: "es2022",
    // New enough for light-dark(), which would else be doubled for browsers of 2023.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
});
