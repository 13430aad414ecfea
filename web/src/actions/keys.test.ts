import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chordOf } from "./keys";

const NONE = { code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };
const CTRL = { ...NONE, ctrlKey: true };
const META = { ...NONE, metaKey: true };

beforeEach(() => vi.stubGlobal("navigator", { platform: "Linux x86_64" }));
afterEach(() => vi.unstubAllGlobals());

describe("chordOf", () => {
  it.each([
    [{ ...NONE, key: "j" }, "j"],
    [{ ...NONE, key: "?", shiftKey: true }, "?"],
    [{ ...NONE, key: "Escape" }, null],
    [{ ...NONE, key: " " }, null],
    [{ ...NONE, key: "Shift" }, null],
    [{ ...CTRL, key: "k" }, "mod+k"],
    [{ ...CTRL, key: "K" }, "mod+k"],
    [{ ...CTRL, key: "K", shiftKey: true }, null],
    [{ ...CTRL, key: "л", code: "KeyK" }, "mod+k"],
    [{ ...CTRL, key: "ن", code: "KeyK" }, "mod+k"],
    [{ ...CTRL, key: "t", code: "KeyK" }, null],
    [{ ...CTRL, key: "c" }, null],
    [{ ...META, key: "k" }, null],
    [{ ...NONE, altKey: true, key: "j" }, null],
  ])("%j", (event, chord) => expect(chordOf(event)).toBe(chord));

  it("is the other key on a Mac, whose Ctrl K deletes to the end of the line", () => {
    vi.stubGlobal("navigator", { platform: "MacIntel" });
    expect([chordOf({ ...META, key: "k" }), chordOf({ ...CTRL, key: "k" })]).toEqual(["mod+k", null]);
  });
});
