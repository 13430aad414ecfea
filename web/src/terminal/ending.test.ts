import { describe, expect, it } from "vitest";
import { endingOf, endsAt, startedJob } from "./ending";
import { Terminal } from "./terminal";

function written(text: string): Terminal {
  const terminal = new Terminal();
  terminal.write(text);
  return terminal;
}

describe("endingOf", () => {
  it.each([
    ["\n---\nexit=0\n", { exit: 0, why: null }],
    ["\n---\nexit=143\n", { exit: 143, why: null }],
    ["\n---\nexit=-1\n", { exit: -1, why: null }],
    ["\n---\nfailed to start: arkor: not found\n", { exit: null, why: "arkor: not found" }],
  ])("%j", (text, ending) => expect(endingOf(text)).toEqual(ending));

  it.each(["", "\n---\n", "\nexit=0\n", "\n---\nexit=soon\n", "\n---\nexit=0"])("%j is no ending", (text) => {
    expect(endingOf(text)).toBeNull();
  });
});

describe("endsAt", () => {
  const ending = "\n---\nexit=0\n";

  it.each(Array.from(ending, (_, index) => ending.slice(0, index)))(
    "%j may be the start of an ending",
    (part) => {
      expect(endsAt(`done\n${part}`)).toBe(part === "" ? 4 : 5);
    },
  );

  it.each(["", "done", "\n----", "\n---\nexit=soon", "\n---\nexit=0\nmore", "\n---\nEpoch 1"])(
    "%j is only output",
    (text) => {
      expect(endsAt(text)).toBe(text.length);
    },
  );

  it("keeps an ending of the command's own", () => {
    expect(endsAt(`${ending}${ending}`)).toBe(ending.length);
  });
});

describe("startedJob", () => {
  it("finds the id on a line of its own, colours and all", () => {
    expect(startedJob(written("hello\n\u001b[1mStarted job abc-123\u001b[0m\n"))).toBe("abc-123");
  });

  it("takes no other line for it", () => {
    expect(startedJob(written("We Started job x\nStarted job\nStarted job a b\n"))).toBeNull();
  });
});
