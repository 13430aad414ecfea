import { describe, expect, it } from "vitest";
import { pieces, quoted } from "./token-text";

const drawn = (text: string): string =>
  pieces(text)
    .map((piece) => (piece.drawn ? `[${piece.text}]` : piece.text))
    .join("");

describe("pieces", () => {
  it.each([
    [" hello", " hello"],
    ["", "[▪]"],
    ["   ", "[···]"],
    ["\n", "[⏎\n]"],
    ["a\r\n\tb", "a[␍][⏎\n][→\t]b"],
    ["\u001b[31m", "[␛][31m"],
    ["a\u202eb\u2066", "a[U+202E]b[U+2066]"],
    ["\u200b\ufeff\u00a0", "[U+200B][U+FEFF][U+00A0]"],
    ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["日本 é 🦜", "日本 é 🦜"],
  ])("%j", (text, expected) => expect(drawn(text)).toBe(expected));

  it("is bounded", () => {
    expect(drawn("x".repeat(10_000_000)).length).toBe(301);
  });
});

it("quotes in one line", () => {
  expect([quoted("a\nb"), quoted(""), quoted("  ")]).toEqual([
    "“a⏎b”",
    "rest of the character before",
    "“··”",
  ]);
});
