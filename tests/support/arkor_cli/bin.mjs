#!/usr/bin/env node
// What the tests take for the `arkor` command: it builds with the real esbuild and starts as that one does.
//
//   build [entry]   bundles src/arkor/index.ts, or the entry, into .arkor/build/index.mjs
//   start [entry]   trains with the bundle that is there; builds it when there is none, or when an entry is given
//
// Like esbuild itself it writes the bundle in place. ARKOR_TEST_SLOW_WRITE (ms) is the time that half of it
// stands on the disk. `.arkor/calls` gets a line for each call, `.arkor/telemetry` one for each that the real
// command would report to its maker.
import { spawnSync } from "node:child_process";
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { relative, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const OUT = resolve(".arkor/build/index.mjs");

async function write(bytes) {
  mkdirSync(resolve(".arkor/build"), { recursive: true });
  const file = openSync(OUT, "w");
  const half = bytes.length >> 1;
  writeSync(file, bytes, 0, half);
  await pause(Number(process.env.ARKOR_TEST_SLOW_WRITE ?? 0));
  writeSync(file, bytes, half);
  closeSync(file);
}

// esbuild's program itself, without its library and the pipes between: half of what a build costs.
function quickly(entry, options) {
  const program = `@esbuild/${process.platform}-${process.arch}/bin/esbuild`;
  const told = Object.entries(options).map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
  const library = createRequire(import.meta.url).resolve("esbuild");
  const path = createRequire(library).resolve(program);
  const { status, stdout, stderr } = spawnSync(path, [entry, ...told, "--log-level=warning"]);
  return status === 0 && stderr.length === 0 ? stdout : undefined;
}

// As `arkor` does: what is wrong is said in its library's words.
async function thoroughly(entry, options) {
  const { build } = await import("esbuild");
  const how = { ...options, entryPoints: [entry], outfile: OUT, write: false, logLevel: "warning" };
  return (await build(how)).outputFiles[0].contents;
}

async function bundle(entry = "src/arkor/index.ts") {
  if (!existsSync(entry)) {
    const hint = "Create src/arkor/index.ts or pass an explicit entry argument.";
    throw new Error(`Build entry not found: ${resolve(entry)}. ${hint}`);
  }
  const options = {
    bundle: true,
    platform: "node",
    format: "esm",
    target: `node${process.versions.node.split(".").slice(0, 2).join(".")}`,
    packages: "external",
  };
  await write(quickly(resolve(entry), options) ?? (await thoroughly(resolve(entry), options)));
  console.log(`Built ${relative(".", entry)} → ${relative(".", OUT)}`);
}

const isTrainer = (it) =>
  typeof it === "object" && it !== null && ["start", "wait", "cancel"].every((name) => typeof it[name] === "function");
// Only what createArkor returns is a manifest: any other object of that name has no trainer for us.
const inManifest = (it) => (it?._kind === "arkor" ? it.trainer : undefined);

async function start(entry) {
  if (entry || !existsSync(OUT)) await bundle(entry);
  const found = await import(pathToFileURL(OUT).href);
  const { arkor, trainer: named, default: main } = found;
  const candidates = [inManifest(arkor), arkor, named, inManifest(main), main, main?.trainer];
  const trainer = candidates.find(isTrainer);
  if (!trainer) throw new Error("Training entry must export `arkor` (from createArkor({...})) or `trainer`.");
  const { jobId } = await trainer.start();
  process.stdout.write(`Started job ${jobId}\n`);
  const { job } = await trainer.wait();
  process.stdout.write(`Job ${job.id} finished with status=${job.status}\n`);
}

const [command, entry] = process.argv.slice(2);
mkdirSync(".arkor", { recursive: true });
const refuses = (name) => !["", "0", "false"].includes((process.env[name] ?? "").toLowerCase());
if (!["DO_NOT_TRACK", "ARKOR_TELEMETRY_DISABLED"].some(refuses)) appendFileSync(".arkor/telemetry", `${command}\n`);
appendFileSync(".arkor/calls", `${[command, entry].filter(Boolean).join(" ")}\n`);
try {
  await { build: bundle, start }[command](entry);
} catch (error) {
  console.error(error.stack);
  process.exitCode = 1;
}
