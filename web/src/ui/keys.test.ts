import { describe, expect, it } from "vitest";
import { chordOf } from "./keys";

const NONE = { ctrlKey: false, metaKey: false, altKey: false };

describe("chordOf", () => {
  it.each([
    [{ ...NONE, key: "j" }, "j"],
    [{ ...NONE, key: "?" }, "?"],
    [{ ...NONE, key: "Escape" }, null],
    [{ ...NONE, key: " " }, null],
    [{ ...NONE, key: "Shift" }, null],
    [{ ...NONE, ctrlKey: true, key: "k" }, "mod+k"],
    [{ ...NONE, metaKey: true, key: "K" }, "mod+k"],
    [{ ...NONE, ctrlKey: true, key: "c" }, null],
    [{ ...NONE, altKey: true, key: "j" }, null],
  ])("%j", (event, chord) => expect(chordOf(event)).toBe(chord));
});
