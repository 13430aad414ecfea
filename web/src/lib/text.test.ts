import { describe, expect, it } from "vitest";
import { bounded, clean, cleanBlock, displayName } from "./text";

describe("untrusted text", () => {
  it.each([
    ["plain", "plain"],
    ["\u001b[31mred\u001b[0m", "red"],
    ["\u001b]0;title\u0007x", "x"],
    ["\u001b]8;;http://e\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["a\nb\tc\u0000d", "a b cd"],
    ["\u202egpj.exe", "gpj.exe"],
    ["مدرب", "مدرب"],
    ["👩‍👩‍👧", "👩‍👩‍👧"],
    [undefined, ""],
    [12, "12"],
  ])("%j", (text, wanted) => expect(clean(text)).toBe(wanted));

  it("is bounded however long, and never ends in half a pair", () => {
    expect(clean("x".repeat(10_000_000), 10)).toBe("xxxxxxxxxx…");
    expect(clean("x".repeat(10), 10)).toBe("xxxxxxxxxx");
    expect(bounded("ab🦊", 3)).toBe("ab…");
    expect(clean(`${"\u001b[31m".repeat(100)}tail`, 10)).toBe("…");
  });

  it("keeps lines in a block", () => {
    expect(cleanBlock("a\n\tb\u0007\u202e")).toBe("a\n\tb");
  });

  it("names what has no name", () => {
    expect(displayName("  \u0000")).toBe("(no name)");
  });
});
