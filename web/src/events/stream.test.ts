import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { JobStream } from "./stream";
import { retryDelay } from "./waits";

// Browsers have it; without it here, reading a buffer that was given back would go unnoticed.
ArrayBuffer.prototype.transfer ??= function (this: ArrayBuffer): ArrayBuffer {
  return structuredClone(this, { transfer: [this] });
};

/** A daemon in memory: a log of frames, and the requests that it received. */
class Daemon {
  frames: string[] = [];
  feed = "f1";
  asked: string[] = [];
  tabs = new Set<ReadableStreamDefaultController<Uint8Array>>();
  refuse: { status: number; error: string } | null = null;

  log(step: number): void {
    this.send(`event: training.log\ndata: {"type":"training.log","step":${step},"loss":${1 / step}}\n\n`);
  }

  send(frame: string): void {
    this.frames.push(frame);
    for (const tab of this.tabs) tab.enqueue(bytes(frame));
  }

  cut(): void {
    for (const tab of this.tabs) tab.error(new TypeError("network error"));
    this.tabs.clear();
  }

  fetch = async (url: string, init: RequestInit): Promise<Response> => {
    this.asked.push(url);
    if (this.refuse?.status === 204) return new Response(null, { status: 204 });
    if (this.refuse)
      return new Response(JSON.stringify({ error: this.refuse.error }), { status: this.refuse.status });
    const stream = bytes(this.frames.join(""));
    const cursor = `${this.feed}.${stream.length}`;
    if (url.includes("/history")) {
      return new Response(stream as BodyInit, { headers: { "X-Arkor-Cursor": cursor } });
    }
    const after = new URL(url, "http://x").searchParams.get("after") ?? "";
    const offset = after.startsWith(`${this.feed}.`) ? Number(after.split(".")[1]) : 0;
    const places = this.frames.map((_, index) => bytes(this.frames.slice(0, index + 1).join("")).length);
    const from = places.includes(offset) ? offset : 0;
    const body = new ReadableStream<Uint8Array>({
      start: (tab) => {
        this.tabs.add(tab);
        init.signal?.addEventListener("abort", () => {
          if (this.tabs.delete(tab)) tab.error(new DOMException("", "AbortError"));
        });
        if (stream.length > from) tab.enqueue(stream.slice(from));
      },
    });
    return new Response(body, { headers: { "X-Arkor-From": `${this.feed}.${from}` } });
  };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
let daemon: Daemon;
let stream: JobStream;
let locks: { request: ReturnType<typeof vi.fn> } | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  daemon = new Daemon();
  locks = undefined;
  vi.stubGlobal("fetch", daemon.fetch);
  vi.stubGlobal("navigator", {
    get locks() {
      return locks;
    },
  });
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
});

afterEach(() => {
  stream.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function open(): Promise<void> {
  stream = new JobStream("a/b");
  await vi.advanceTimersByTimeAsync(10);
}

const steps = (): number[] => [...stream.run.rows.step.values()];

test("history first, then live frames from exactly there, until the end", async () => {
  daemon.log(1);
  daemon.log(2);
  await open();
  expect([steps(), stream.state.value]).toEqual([[1, 2], "live"]);
  const known = bytes(daemon.frames.join("")).length;
  expect(daemon.asked).toEqual(["/api/jobs/a%2Fb/history", `/api/jobs/a%2Fb/events?after=f1.${known}`]);
  daemon.log(3);
  daemon.send("event: end\ndata: {}\n\n");
  await vi.advanceTimersByTimeAsync(500);
  expect([steps(), stream.state.value]).toEqual([[1, 2, 3], "over"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(daemon.asked).toHaveLength(2);
});

test("a backlog that comes behind an empty history is read without a pause", async () => {
  const row = 'event: training.log\ndata: {"type":"training.log","step":1,"loss":1}\n\n';
  const piece = bytes(row.repeat(1000));
  let remaining = 100;
  // As a browser hands them on: the next piece comes shortly after the one before was taken.
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (tab) => {
        await new Promise((wake) => setTimeout(wake, 2));
        if (remaining-- > 0) tab.enqueue(piece.slice());
        else await new Promise(() => undefined);
      },
    },
    { highWaterMark: 0 },
  );
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) =>
    url.includes("/history")
      ? daemon.fetch(url, init)
      : new Response(body, { headers: { "X-Arkor-From": "f1.0" } }),
  );
  await open();
  await vi.advanceTimersByTimeAsync(240);
  expect(stream.run.rows.length).toBe(100_000);
});

test("a finished job costs one request", async () => {
  daemon.log(1);
  daemon.send("event: end\ndata: {}\n\n");
  await open();
  expect([stream.state.value, daemon.asked.length, stream.version.value > 0]).toEqual(["over", 1, true]);
});

test("after a cut nothing is lost and nothing comes twice", async () => {
  daemon.log(1);
  await open();
  daemon.log(2);
  await vi.advanceTimersByTimeAsync(300);
  daemon.cut();
  daemon.log(3);
  await vi.advanceTimersByTimeAsync(150);
  expect(stream.state.value).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(5000);
  daemon.log(4);
  await vi.advanceTimersByTimeAsync(500);
  expect([steps(), stream.state.value]).toEqual([[1, 2, 3, 4], "live"]);
});

test("a place that is named amid repeats is not taken for the newest", async () => {
  daemon.log(1);
  await open();
  daemon.log(2);
  daemon.log(3);
  await vi.advanceTimersByTimeAsync(500);
  daemon.frames[1] += ": at f1.2\n\n";
  for (let cut = 0; cut < 2; cut++) {
    daemon.cut();
    await vi.advanceTimersByTimeAsync(5000);
  }
  daemon.log(4);
  await vi.advanceTimersByTimeAsync(500);
  expect(steps()).toEqual([1, 2, 3, 4]);
});

test("equal frames that are no repeats are all kept", async () => {
  await open();
  for (let i = 0; i < 3; i++) daemon.send('event: training.log\ndata: {"step":1,"loss":2}\n\n');
  await vi.advanceTimersByTimeAsync(300);
  daemon.cut();
  await vi.advanceTimersByTimeAsync(5000);
  daemon.send('event: training.log\ndata: {"step":1,"loss":2}\n\n');
  await vi.advanceTimersByTimeAsync(500);
  expect(steps()).toEqual([1, 1, 1, 1]);
});

test("a daemon that let go of the job makes the page start over", async () => {
  daemon.log(1);
  daemon.log(2);
  await open();
  daemon.feed = "f2";
  daemon.frames = [];
  daemon.log(7);
  daemon.cut();
  await vi.advanceTimersByTimeAsync(10_000);
  expect([steps(), stream.run.records.length, stream.state.value]).toEqual([[7], 1, "live"]);
});

test("a place that the daemon does not have makes the page start over too", async () => {
  await open();
  daemon.log(1);
  await vi.advanceTimersByTimeAsync(300);
  daemon.frames = ['event: training.log\ndata: {"step":9,"loss":9,"longer":true}\n\n'];
  daemon.cut();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(steps()).toEqual([9]);
});

test("what was cut in the middle of a frame goes on with the whole of it, and comments count for nothing", async () => {
  daemon.log(1);
  await open();
  daemon.log(2);
  const frame = 'id: 3\nevent: training.log\ndata: {"step":3,"loss":1}\n\n';
  for (const tab of daemon.tabs) tab.enqueue(bytes(`: reconnecting\n\n: connected\n\n${frame.slice(0, 20)}`));
  await vi.advanceTimersByTimeAsync(1000);
  const known = bytes(daemon.frames.join("")).length;
  daemon.frames.push(frame);
  daemon.cut();
  await vi.advanceTimersByTimeAsync(5000);
  expect(daemon.asked.at(-1)).toBe(`/api/jobs/a%2Fb/events?after=f1.${known}`);
  expect(steps()).toEqual([1, 2, 3]);
  expect(daemon.asked.filter((url) => url.includes("/history"))).toHaveLength(1);
});

test("the daemon's own trouble is shown until it is over", async () => {
  await open();
  for (const tab of daemon.tabs) tab.enqueue(bytes(": reconnecting\n\n"));
  await vi.advanceTimersByTimeAsync(300);
  expect(stream.state.value).toBe("reconnecting");
  for (const tab of daemon.tabs) tab.enqueue(bytes(": connected\n\n"));
  await vi.advanceTimersByTimeAsync(300);
  expect(stream.state.value).toBe("live");
});

test.each([204, 404])("an error answer is told and tried again, a %i is missing", async (status) => {
  daemon.refuse = { status: 502, error: "The backend is away." };
  await open();
  expect([stream.state.value, stream.trouble.value]).toEqual(["reconnecting", "The backend is away."]);
  daemon.refuse = { status, error: "No such job." };
  await vi.advanceTimersByTimeAsync(2000);
  expect(stream.state.value).toBe("missing");
  daemon.refuse = null;
  daemon.log(1);
  await vi.advanceTimersByTimeAsync(16_000);
  expect([stream.state.value, stream.trouble.value, steps()]).toEqual(["live", null, [1]]);
});

test("a new job that its backend does not know yet is there a moment later", async () => {
  daemon.refuse = { status: 204, error: "" };
  await open();
  expect(stream.state.value).toBe("missing");
  daemon.refuse = null;
  await vi.advanceTimersByTimeAsync(2000);
  expect(stream.state.value).toBe("live");
});

test("without a free slot it reads for short times and misses nothing", async () => {
  locks = {
    request: vi.fn(async (name: string, _options: object, use: (lock: object | null) => unknown) =>
      use(name === "arkor.short-read" ? {} : null),
    ),
  };
  daemon.log(1);
  await open();
  daemon.log(2);
  await vi.advanceTimersByTimeAsync(3000);
  daemon.log(3);
  await vi.advanceTimersByTimeAsync(3000);
  expect([steps(), stream.state.value]).toEqual([[1, 2, 3], "live"]);
  expect(daemon.asked.length).toBeGreaterThan(4);
  expect(daemon.tabs.size).toBeLessThanOrEqual(1);
});

test("a short read ends though events never stop coming", async () => {
  locks = {
    request: vi.fn(async (name: string, _options: object, use: (lock: object | null) => unknown) =>
      use(name === "arkor.short-read" ? {} : null),
    ),
  };
  await open();
  let held = 0;
  for (let step = 1; step <= 100; step++) {
    daemon.log(step);
    await vi.advanceTimersByTimeAsync(100);
    held += daemon.tabs.size;
  }
  await vi.advanceTimersByTimeAsync(3000);
  expect(steps()).toEqual(Array.from({ length: 100 }, (_, k) => k + 1));
  expect(held).toBeLessThan(75);
});

test("a closed stream asks no more", async () => {
  await open();
  stream.close();
  await vi.advanceTimersByTimeAsync(10);
  const before = daemon.asked.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect([daemon.asked.length, daemon.tabs.size]).toEqual([before, 0]);
});

test("retries wait longer each time, to a limit, and not in step", () => {
  expect([0, 1, 2, 3].map((n) => retryDelay(n, () => 1))).toEqual([400, 800, 1600, 3200]);
  expect(retryDelay(50, () => 1)).toBe(15_000);
  expect(retryDelay(0, () => 0)).toBe(200);
});

test("a job that was over is read on from its whole history", async () => {
  daemon.log(1);
  daemon.log(2);
  daemon.send("event: end\ndata: {}\n\n");
  await open();
  daemon.frames.pop(); // the daemon forgets the end at the question for more
  expect(stream.reopen(true)).toBe(true);
  expect(stream.state.value).toBe("loading");
  await vi.advanceTimersByTimeAsync(10);
  expect(stream.state.value).toBe("live");
  daemon.send('event: training.resumed\ndata: {"type":"training.resumed","step":1}\n\n');
  daemon.log(2);
  daemon.log(3);
  daemon.send("event: end\ndata: {}\n\n");
  await vi.advanceTimersByTimeAsync(1000);
  expect([steps(), stream.state.value]).toEqual([[1, 2, 3], "over"]);
  expect(daemon.asked.filter((url) => url.includes("again=1"))).toHaveLength(1);
});

test("what is not over is not read anew", async () => {
  daemon.log(1);
  await open();
  expect(stream.reopen(true)).toBe(false);
  await vi.advanceTimersByTimeAsync(10);
  expect(daemon.asked).toHaveLength(2);
});
