import { describe, expect, it } from "vitest";
import { endingOf, startedJob } from "./ending";
import { Terminal } from "./terminal";

function written(text: string): Terminal {
  const terminal = new Terminal();
  terminal.write(text);
  return terminal;
}

describe("endingOf", () => {
  it.each([
    ["done\n\n---\nexit=0\n", { exit: 0, why: null, lines: 3 }],
    ["done\n---\nexit=1\n", { exit: 1, why: null, lines: 2 }],
    ["\n---\nexit=143\n", { exit: 143, why: null, lines: 3 }],
    ["\n---\nfailed to start: arkor: not found\n", { exit: null, why: "arkor: not found", lines: 3 }],
  ])("%j", (text, ending) => expect(endingOf(written(text))).toEqual(ending));

  it.each(["", "---\n", "exit=0\n", "---\nexit=soon\n", "---\nexit=0\nmore\nlines\n"])("%j is no ending", (text) => {
    expect(endingOf(written(text))).toBeNull();
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
