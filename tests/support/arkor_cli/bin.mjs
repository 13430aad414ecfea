#!/usr/bin/env node
// What the tests take for the `arkor` command: it builds with the real esbuild and starts as that one does.
//
//   build [entry]   bundles src/arkor/index.ts, or the entry, into .arkor/build/index.mjs
//   start [entry]   trains with the bundle that is there; builds it when there is none, or when an entry is given
//
// Like esbuild itself it writes the bundle in place. ARKOR_TEST_SLOW_WRITE (ms) is the time that half of it
// stands on the disk. `.arkor/calls` gets a line for each call, `.arkor/telemetry` one for each that the real
// command would report to its maker.
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, writeSync } from "node:fs";
import { relative, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

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

async function bundle(entry = "src/arkor/index.ts") {
  if (!existsSync(entry)) {
    const hint = "Create src/arkor/index.ts or pass an explicit entry argument.";
    throw new Error(`Build entry not found: ${resolve(entry)}. ${hint}`);
  }
  const { outputFiles } = await build({
    entryPoints: [resolve(entry)],
    outfile: OUT,
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: `node${process.versions.node.split(".").slice(0, 2).join(".")}`,
    packages: "external",
    logLevel: "warning",
  });
  await write(outputFiles[0].contents);
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
