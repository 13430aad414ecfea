import { afterEach, expect, test, vi } from "vitest";
import type { Export } from "../../../contract.gen";
import { archived, fetched, filesOf } from "./files";
import { command, exportsOf } from "./index";

afterEach(() => vi.unstubAllGlobals());

const body = new Uint8Array(40_000_000).map((_, at) => at % 251);

/** A daemon that gives ranges; `faults` answers are cut first. */
function daemon(faults: number, ranges = true): string[] {
  const requests: string[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    if (url !== "/api/x") return new Response("{}"); // whether the daemon is there
    const range = new Headers(init.headers).get("Range") ?? "";
    requests.push(range);
    if (requests.length <= faults) throw new TypeError("cut");
    if (!ranges) return new Response(body);
    const [from, to] = range.slice("bytes=".length).split("-").map(Number);
    return new Response(body.slice(from, (to ?? 0) + 1), { status: 206 });
  });
  return requests;
}

test("a file comes in parts, and a part that was cut is asked for again", async () => {
  const ranges = daemon(2);
  const progress: number[] = [];
  const file = await fetched("/x", body.length, new AbortController().signal, (done) => progress.push(done));
  expect(ranges.slice(2)).toEqual(["bytes=0-16777215", "bytes=16777216-33554431", "bytes=33554432-39999999"]);
  expect(progress.at(-1)).toBe(body.length);
  const bytes = new Uint8Array(await file.arrayBuffer());
  expect([bytes.length, bytes.findIndex((byte, at) => byte !== at % 251)]).toEqual([body.length, -1]);
});

test("a backend without ranges gives the whole file at once", async () => {
  const ranges = daemon(0, false);
  const file = await fetched("/x", body.length, new AbortController().signal, () => undefined);
  expect([ranges.length, file.size]).toEqual([1, body.length]);
});

test("after three cuts it is given up", async () => {
  const ranges = daemon(9);
  await expect(fetched("/x", 10, new AbortController().signal, () => undefined)).rejects.toThrow();
  expect(ranges.length).toBe(3);
});

test("what a backend lists is read as far as it can be", () => {
  expect(exportsOf(null)).toEqual([]);
  expect(exportsOf({ exports: [{ id: "a" }, { id: "" }, 5, null] })).toEqual([{ id: "a" }]);
  const files = [
    { name: "a", bytes: 1 },
    { name: 5, bytes: 1 },
    { name: "b", bytes: -1 },
    { name: "c", bytes: "1" },
  ];
  expect(filesOf({ files } as unknown as Export).map((file) => file.name)).toEqual(["a"]);
});

test("an archive keeps subfolders, and none of its files leads out of it", () => {
  expect(archived("1_Pooling/config.json")).toBe("1_Pooling/config.json");
  expect(archived("/../a/./..\\b\u202e//c")).toBe("a/..-b/c");
});

test("the command names what is exported", () => {
  const one = { id: "e", format: "merged", state: "completed", createdAt: "", step: 20 } as Export;
  expect(command("job_1", one)).toBe("arkor-dev export job_1 --format merged --checkpoint 20 --out FOLDER");
  expect(command("job_1", one, true)).toBe(
    "arkor-dev push job_1 --format merged --checkpoint 20 NAME/REPOSITORY",
  );
  const gguf = {
    ...one,
    format: "gguf",
    quantization: "q4_0",
    strength: 0.5,
    step: undefined,
  } as unknown as Export;
  expect(command("job_1", gguf)).toBe(
    "arkor-dev export job_1 --format gguf --quantization q4_0 --strength 0.5 --out FOLDER",
  );
});
