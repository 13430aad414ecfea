import { describe, expect, it } from "vitest";
import type { Progress } from "./deltas";
import { MAX_ANSWER, readAnswer, tokensPerSecond } from "./stream";

const encode = (text: string) => new TextEncoder().encode(text);

/** A response whose body hands out `pieces`, each 10 ms of `clock` after the last, then ends or breaks. */
function answer(
  pieces: (string | Uint8Array)[],
  { type = "text/event-stream", broken }: { type?: string; broken?: unknown } = {},
) {
  let now = 1000;
  let cancelled = false;
  const queue = pieces.map((piece) => (typeof piece === "string" ? encode(piece) : piece));
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        now += 10;
        const next = queue.shift();
        if (next) controller.enqueue(next);
        else if (broken) controller.error(broken);
        else controller.close();
      },
      cancel() {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const text: string[] = [];
  const progress: (Progress | null)[] = [];
  const sink = {
    text: (piece: string) => text.push(piece),
    progress: (p: Progress | null) => progress.push(p),
  };
  const response = new Response(body, { headers: { "Content-Type": type } });
  const outcome = readAnswer(response, 1000, sink, () => now);
  return { outcome, text, progress, wasCancelled: () => cancelled };
}

const chunk = (content: string, more = "") =>
  `data: {"choices":[{"delta":{"content":${JSON.stringify(content)}}${more}}]}\n\n`;

describe("readAnswer", () => {
  it("reads text, loading and times", async () => {
    const read = answer([
      'event: progress\ndata: {"label":"Load","done":1,"total":2}\n\n',
      ": keep\n\nevent: ping\ndata: {}\n\n",
      chunk("Hel"),
      chunk("lo"),
      chunk("!", ',"finish_reason":"stop"'),
      'data: {"choices":[],"usage":{"completion_tokens":9}}\n\ndata: [DONE]\n\n',
    ]);
    expect(await read.outcome).toEqual({
      state: "done",
      finish: "stop",
      timing: { loadMs: 10, firstMs: 30, textMs: 20, tokens: 9, counted: true },
    });
    expect(read.text.join("")).toBe("Hello!");
    expect(read.progress).toEqual([{ label: "Load", done: 1, total: 2 }, null]);
  });

  it("keeps characters that are split between chunks", async () => {
    const bytes = encode(`${chunk("né 🦊")}data: [DONE]\n\n`);
    const read = answer([...bytes].map((byte) => Uint8Array.of(byte)));
    expect((await read.outcome).state).toBe("done");
    expect(read.text.join("")).toBe("né 🦊");
  });

  it("stops reading at the end marker", async () => {
    const read = answer(["event: end\ndata: {}\n\n", chunk("late")]);
    expect(await read.outcome).toEqual({ state: "done" });
    expect(read.text).toEqual([]);
    expect(read.wasCancelled()).toBe(true);
  });

  it("calls a stream that stops amid the answer cut, and keeps the part", async () => {
    const read = answer([chunk("so fa")]);
    expect(await read.outcome).toMatchObject({ state: "cut", timing: { tokens: 1, counted: false } });
    expect(read.text).toEqual(["so fa"]);
  });

  it("takes a finish reason for an end", async () => {
    expect(await answer([chunk("x", ',"finish_reason":"length"')]).outcome).toMatchObject({
      state: "done",
      finish: "length",
    });
  });

  it("tells an abort from a broken connection", async () => {
    expect((await answer([chunk("x")], { broken: new DOMException("", "AbortError") }).outcome).state).toBe(
      "stopped",
    );
    expect(await answer([chunk("x")], { broken: new TypeError("network error") }).outcome).toMatchObject({
      state: "cut",
      error: "The connection was lost before the answer was complete.",
    });
  });

  it("keeps the text before an error in the stream", async () => {
    const read = answer([chunk("x"), 'data: {"error":"out of memory"}\n\n', chunk("y")]);
    expect(await read.outcome).toMatchObject({ state: "failed", error: "out of memory" });
    expect(read.text).toEqual(["x"]);
  });

  it("reads a whole JSON body", async () => {
    const read = answer(['{"choices":[{"message":{"content":"All"},', '"finish_reason":"stop"}]}'], {
      type: "application/json; charset=utf-8",
    });
    expect(await read.outcome).toMatchObject({ state: "done", finish: "stop" });
    expect(read.text).toEqual(["All"]);
  });

  it("ends an answer that never ends", async () => {
    const read = answer(Array.from({ length: 30 }, () => chunk("x".repeat(50_000))));
    expect((await read.outcome).state).toBe("full");
    expect(read.text.join("")).toHaveLength(MAX_ANSWER);
    expect(read.wasCancelled()).toBe(true);
  });

  it("ends a frame that never ends", async () => {
    const read = answer(Array.from({ length: 40 }, () => "x".repeat(1_000_000)));
    expect((await read.outcome).state).toBe("full");
  });
});

describe("tokensPerSecond", () => {
  const timing = { firstMs: 5, loadMs: 0, counted: true };
  it("counts the gaps, not the posts", () => {
    expect(tokensPerSecond({ ...timing, tokens: 11, textMs: 500 })).toBe(20);
    expect(tokensPerSecond({ ...timing, tokens: 1, textMs: 500 })).toBeNull();
    expect(tokensPerSecond({ ...timing, tokens: 5, textMs: 0 })).toBeNull();
    expect(tokensPerSecond({ ...timing, tokens: 500, textMs: 49 })).toBeNull();
  });
});
