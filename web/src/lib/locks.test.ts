import { afterEach, describe, expect, it, vi } from "vitest";
import { heldLocks, locked } from "./locks";

afterEach(() => vi.unstubAllGlobals());

describe("a browser that refuses locks", () => {
  const refuse = async (): Promise<never> =>
    Promise.reject(new DOMException("The operation is insecure.", "SecurityError"));
  const refusing = (): void => void vi.stubGlobal("navigator", { locks: { request: refuse, query: refuse } });

  it("lets one after another in this tab have the lock", async () => {
    refusing();
    const order: string[] = [];
    const open: (() => void)[] = [];
    const one = locked(
      "a",
      {},
      () =>
        new Promise<void>((done) =>
          open.push(() => {
            order.push("one");
            done();
          }),
        ),
    );
    const two = locked("a", {}, () => void order.push("two"));
    const three = locked("a", {}, () => void order.push("three"));
    await vi.waitFor(() => expect(open).toHaveLength(1));
    expect(await locked("a", { ifAvailable: true }, (held) => held)).toBe(false);
    expect(await locked("b", { ifAvailable: true }, (held) => held)).toBe(true);
    expect(await locked("a", { mode: "shared" }, (held) => held)).toBe(true);
    open[0]!();
    await Promise.all([one, two, three]);
    expect(order).toEqual(["one", "two", "three"]);
  });

  it("passes the turn on after a failure, and lets one that was called off go", async () => {
    refusing();
    const stop = new AbortController();
    await expect(locked("a", {}, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    stop.abort(new Error("left"));
    await expect(locked("a", { signal: stop.signal }, () => "in")).rejects.toThrow();
    expect(await locked("a", {}, () => "in")).toBe("in");
  });

  it("knows of no tab", async () => {
    refusing();
    expect(await heldLocks()).toEqual([]);
    vi.stubGlobal("navigator", {});
    expect(await heldLocks()).toEqual([]);
  });
});

it("does not do the work a second time where the work itself failed", async () => {
  const use = vi.fn(() => Promise.reject(new Error("cut")));
  vi.stubGlobal("navigator", {
    locks: { request: async (_: string, __: object, use: (lock: object) => unknown) => use({}) },
  });
  await expect(locked("a", {}, use)).rejects.toThrow("cut");
  expect(use).toHaveBeenCalledTimes(1);
});
