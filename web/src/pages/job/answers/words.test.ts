import { describe, expect, it } from "vitest";
import { differences, type Piece } from "./words";

const NO_CUTS = { before: false, after: false };
/** `+new+`, `-gone-`. */
const marked = (pieces: readonly Piece[] | null): string | undefined =>
  pieces
    ?.map(({ text, kind }) => (kind === "new" ? `+${text}+` : kind === "gone" ? `-${text}-` : text))
    .join("");
const between = (before: string, after: string, cut = NO_CUTS): string | undefined =>
  marked(differences(before, after, cut));

describe("two answers", () => {
  it.each([
    ["Log 08:12. A key lost.", "Log 08:12. A key lost.", "Log 08:12. A key lost."],
    ["the lamp is lit", "the lamp was lit", "the lamp -is-+was+ lit"],
    ["the lamp", "the lamp is lit", "the lamp+ is lit+"],
    ["keep the lamp lit", "the lamp lit", "-keep -the lamp lit"],
    ["one two\nthree", "one two\nfour three", "one two\n+four +three"],
    ["", "", ""],
  ])("%j, then %j", (before, after, expected) => {
    expect(between(before, after)).toBe(expected);
  });

  it("are whole when what is gone is left out, and when what is new is", () => {
    const [before, after] = ["a b c d e f g h", "a c x d e y z h i"];
    const pieces = differences(before, after, NO_CUTS)!;
    const text = (without: Piece["kind"]) =>
      pieces.map((piece) => (piece.kind === without ? "" : piece.text)).join("");
    expect([text("new"), text("gone")]).toEqual([before, after]);
  });

  it("without words in common are not compared", () => {
    expect(between("To reset your password, click here.", "Log 08:12 — a key overboard")).toBeUndefined();
    expect(between("", "something")).toBeUndefined();
    expect(between("x ".repeat(2000), "x ".repeat(2001))).toBeUndefined();
  });

  it("differ by no more than they say where one was cut for its length", () => {
    expect(between("the lamp", "the lamp is lit", { before: true, after: false })).toBe("the lamp is lit");
    expect(between("the lamp is lit", "the lamp", { before: false, after: true })).toBe("the lamp");
    expect(between("a lamp is lit", "the lamp is", { before: false, after: true })).toBe("-a-+the+ lamp is");
  });

  it("tell words apart that no space does", () => {
    expect(between("灯塔的灯亮着。", "灯塔的灯灭着。")).toContain("灯塔的灯");
  });
});
