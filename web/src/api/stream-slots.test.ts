import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pause, withStream } from "./stream-slots";

/** The part of the Web Locks API that is used, for one process in place of several tabs. */
function locks() {
  const held = new Set<string>();
  return {
    held,
    async request(name: string, _: object, use: (lock: object | null) => Promise<unknown>): Promise<unknown> {
      if (held.has(name)) return use(null);
      held.add(name);
      try {
        return await use({ name });
      } finally {
        held.delete(name);
      }
    },
  };
}

let shared: ReturnType<typeof locks>;
beforeEach(() => {
  shared = locks();
  vi.stubGlobal("navigator", { locks: shared });
});
afterEach(() => vi.unstubAllGlobals());

const never = new AbortController().signal;

describe("withStream", () => {
  it("lets three through, and tells the fourth at once when it does not want to wait", async () => {
    const open: (() => void)[] = [];
    const three = [1, 2, 3].map((n) =>
      withStream(never, () => new Promise<number>((done) => open.push(() => done(n)))),
    );
    await vi.waitFor(() => expect(shared.held.size).toBe(3));
    expect(await withStream(never, async () => "in", { wait: false })).toBeNull();
    for (const end of open) end();
    expect(await Promise.all(three)).toEqual([1, 2, 3]);
    expect(await withStream(never, async () => "in", { wait: false })).toBe("in");
  });

  it("gives the slot back when the use fails", async () => {
    await expect(withStream(never, () => Promise.reject(new Error("cut")))).rejects.toThrow("cut");
    expect(shared.held.size).toBe(0);
  });

  it("stops waiting when it is told to", async () => {
    for (const slot of [0, 1, 2]) shared.held.add(`arkor.stream.${slot}`);
    const stop = new AbortController();
    const waiting = withStream(stop.signal, async () => "in");
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });

  it("works where there are no locks", async () => {
    vi.stubGlobal("navigator", {});
    expect(await withStream(never, async () => "in", { wait: false })).toBe("in");
  });

  it.each([
    ["lacks locks", {}],
    [
      "refuses locks",
      { locks: { request: async () => Promise.reject(new DOMException("no", "SecurityError")) } },
    ],
  ])("keeps to three slots and their turns in a browser that %s", async (_, navigator) => {
    vi.stubGlobal("navigator", navigator);
    const open: (() => void)[] = [];
    const three = [1, 2, 3].map((n) =>
      withStream(never, () => new Promise<number>((done) => open.push(() => done(n)))),
    );
    await vi.waitFor(() => expect(open).toHaveLength(3));
    expect(await withStream(never, async () => "in", { wait: false })).toBeNull();
    for (const end of open) end();
    expect(await Promise.all(three)).toEqual([1, 2, 3]);
    expect(await withStream(never, async () => "in", { wait: false })).toBe("in");
    await expect(withStream(never, () => Promise.reject(new Error("cut")))).rejects.toThrow("cut");
    expect(await withStream(never, async () => "in", { wait: false })).toBe("in");
  });
});

describe("pause", () => {
  it("ends early with the signal's reason", async () => {
    const stop = new AbortController();
    const long = pause(60_000, stop.signal);
    stop.abort(new Error("now"));
    await expect(long).rejects.toThrow("now");
  });
});
