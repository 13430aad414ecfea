import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, api, errorText, parseError, request } from "./client";
import { connection } from "./connection";

afterEach(() => vi.unstubAllGlobals());

function answer(response: Response | Error): void {
  vi.stubGlobal("fetch", () =>
    response instanceof Error ? Promise.reject(response) : Promise.resolve(response),
  );
}

describe("parseError", () => {
  it.each([
    ['{"error":"It broke."}', { text: "It broke.", extra: {} }],
    ['{"error":"Busy.","run":"r1"}', { text: "Busy.", extra: { run: "r1" } }],
    ['{"error":{"code":7}}', { text: '{"code":7}', extra: {} }],
    ["plain text\n", { text: "plain text", extra: {} }],
    ["", { text: "The daemon answered 502 Bad Gateway", extra: {} }],
    ["[]", { text: "[]", extra: {} }],
  ])("%s", (body, wanted) => expect(parseError(body, 502, "Bad Gateway")).toEqual(wanted));

  it("is bounded", () => {
    expect(parseError("x".repeat(1e6), 500, "").text).toHaveLength(2000);
  });
});

describe("request", () => {
  it("sends the body as JSON to /api", async () => {
    const fetch_ = vi.fn((_: string, __: RequestInit) => Promise.resolve(new Response("{}")));
    vi.stubGlobal("fetch", fetch_);
    await request("/train", { method: "POST", body: { dryRun: true } });
    const [url, init] = fetch_.mock.calls[0] ?? [];
    expect([url, init?.method, init?.body]).toEqual(["/api/train", "POST", '{"dryRun":true}']);
  });

  it("throws the daemon's own words with the status", async () => {
    answer(new Response('{"error":"No such job.","id":"x"}', { status: 404 }));
    const error = await api("/jobs/x").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect([(error as ApiError).status, errorText(error), (error as ApiError).extra]).toEqual([
      404,
      "No such job.",
      { id: "x" },
    ]);
    expect(connection.value).not.toBe("gone");
  });

  it("lets an abort be an abort", async () => {
    answer(new DOMException("stopped", "AbortError"));
    await expect(api("/jobs")).rejects.toThrow("stopped");
    expect(connection.value).not.toBe("gone");
  });

  it("says that Studio is gone when nobody answers", async () => {
    vi.useFakeTimers();
    answer(new TypeError("Failed to fetch"));
    await expect(api("/jobs")).rejects.toMatchObject({ status: 0 });
    expect(connection.value).toBe("gone");
    vi.useRealTimers();
  });
});
