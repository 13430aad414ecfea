import { afterEach, describe, expect, it, vi } from "vitest";
import { deprecationText, notice, noticed, putAway } from "./deprecation";

afterEach(() => vi.unstubAllGlobals());

describe("a backend's words on its future", () => {
  it.each([
    [null, null, null, ""],
    ["true", null, null, "A backend API that Studio uses is deprecated."],
    ["@1767268800", null, null, "A backend API that Studio uses has been deprecated since 1 Jan 2026."],
    [null, "Sun, 01 Mar 2026 12:00:00 GMT", null, "It ends on 1 Mar 2026."],
    [null, "soon", null, "It ends on soon."],
    [null, null, '299 - "Use v2"', "Use v2."],
    [null, null, '299 - "Say \\"v2\\"!"', 'Say "v2"!'],
    [null, null, "no quotes", "no quotes."],
    [
      "@99999999999999999",
      null,
      null,
      "A backend API that Studio uses has been deprecated since @99999999999999999.",
    ],
    [
      "@1767268800",
      "soon",
      '299 - "Old."',
      "Old. A backend API that Studio uses has been deprecated since 1 Jan 2026. It ends on soon.",
    ],
  ])("%s, %s, %s", (deprecation, sunset, warning, words) =>
    expect(deprecationText(deprecation, sunset, warning)).toBe(words),
  );

  it("is bounded and plain", () => {
    const words = deprecationText(null, null, `299 - "\u202e${"x".repeat(5000)}"`);
    expect(words.length).toBeLessThan(320);
    expect(words).not.toContain("\u202e");
  });
});

it("says the same once, and not again after it was put away", () => {
  const store = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => store.set(key, value),
  });
  noticed(new Headers({ Sunset: "soon" }));
  expect(notice.value).toBe("It ends on soon.");
  putAway();
  noticed(new Headers({ Sunset: "soon" }));
  noticed(new Headers());
  expect(notice.value).toBeNull();
  noticed(new Headers({ Sunset: "sooner" }));
  expect(notice.value).toBe("It ends on sooner.");
  putAway();
  noticed(new Headers({ Sunset: "soon" }));
  expect(notice.value).toBe("It ends on soon.");
});
