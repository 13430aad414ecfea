import { describe, expect, it } from "vitest";
import { classOf, PLAIN, paramsOf, sgr } from "./style";
import { Terminal } from "./terminal";

function linesOf(...chunks: string[]): string[] {
  const terminal = new Terminal();
  for (const chunk of chunks) terminal.write(chunk);
  return Array.from({ length: terminal.count }, (_, index) => terminal.text(index));
}

describe("text", () => {
  it.each([
    ["lines", ["a\nb\n"], ["a", "b"]],
    ["a line without its end", ["a\nb"], ["a", "b"]],
    ["empty lines", ["a\n\n\nb"], ["a", "", "", "b"]],
    ["Windows line ends", ["a\r\nb\r\n"], ["a", "b"]],
    ["a progress bar", ["10 %", "\r 55 %", "\r100 %\ndone\n"], ["100 %", "done"]],
    ["a shorter bar over a longer one", ["abcdef\rxy\n"], ["xycdef"]],
    ["erase to the end", ["abcdef\rxy\u001b[K\n"], ["xy"]],
    ["erase the line", ["abc\u001b[2K\rx\n"], ["x"]],
    ["backspace", ["ab\bc\n"], ["ac"]],
    ["tabs", ["a\tb\n"], ["a       b"]],
    ["cursor up", ["one\ntwo\n\u001b[2Aeins\nzwei\n"], ["eins", "zwei"]],
    [
      "a bar in a bar",
      ["outer 0", "\n\rinner 0\u001b[A", "\n\rinner 9\u001b[A", "\router 1", "\n\rinner 3\u001b[A"],
      ["outer 1", "inner 3"],
    ],
    ["what is under the cursor stays", ["one\ntwo\nthree\n\u001b[3Aeins"], ["eins", "two", "three"]],
    ["down and on", ["one\ntwo\nthree\u001b[2A!\u001b[2B!\n"], ["one  !", "two", "three !"]],
    ["to the start of another line", ["one\ntwo\u001b[1FO\u001b[1ET\n"], ["One", "Two"]],
    ["no further up than to the first", ["a\nb\u001b[500A\rA\n"], ["A", "b"]],
    ["no further down than to the last", ["a\nb\u001b[A\u001b[50B\rB\n"], ["a", "B"]],
    ["erase what is below", ["one\ntwo\nthree\u001b[2A\r\u001b[JX\n"], ["X"]],
    ["deleted characters", ["abc\r\u001b[2PX\n"], ["Xbc"]],
    ["cursor to a column", ["abc\u001b[2GX\n"], ["aXc"]],
    ["a sequence cut by chunks", ["\u001b", "[3", "1mred\u001b[", "0m\n"], ["red"]],
    ["emoji", ["🦊👩‍👧\n"], ["🦊👩‍👧"]],
  ])("%s", (_, chunks, lines) => expect(linesOf(...chunks)).toEqual(lines));
});

describe("what a terminal would obey", () => {
  it.each([
    ["a title", "\u001b]0;pwned\u0007ok\n"],
    ["a link", "\u001b]8;;http://evil\u001b\\ok\u001b]8;;\u001b\\\n"],
    ["the clipboard", "\u001b]52;c;ZXZpbA==\u0007ok\n"],
    ["a device string", "\u001bP+q544e\u001b\\ok\n"],
    ["a query", "\u001b[6n\u001b[c\u001b[?25lok\n"],
    ["a character set", "\u001b(Bok\n"],
    ["direction overrides", "\u202eok\u202c\u2066\n"],
    ["controls", "\u0000\u0001\u0007o\u007f\u0085k\n"],
    ["one-byte controls", "\u009b31mok\n"],
  ])("%s leaves only the text", (_, text) => expect(linesOf(text)).toEqual(["ok"]));

  it("keeps HTML as the text that it is", () => {
    expect(linesOf("<img src=x onerror=alert(1)>\n")).toEqual(["<img src=x onerror=alert(1)>"]);
  });

  it("does not swallow the output after a title that never ends", () => {
    expect(linesOf(`\u001b]0;${"x".repeat(10)}\nnext\n`).at(-1)).toBe("next");
    expect(linesOf(`\u001b]0;${"x".repeat(5000)}tail\n`).at(-1)).toMatch(/tail$/);
  });
});

describe("bounds", () => {
  it("keeps the last lines and counts the others", () => {
    const terminal = new Terminal({ lines: 100 });
    terminal.write("x\n".repeat(950));
    for (let index = 0; index < 50; index += 1) terminal.write(`line ${index}\n`);
    expect(terminal.count).toBe(100);
    expect(terminal.dropped).toBe(900);
    expect(terminal.text(99)).toBe("line 49");
  });

  it("keeps what a cursor far up can no longer reach", () => {
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}`);
    const terminal = new Terminal();
    terminal.write(`${lines.join("\n")}\u001b[999A\rX`);
    const rows = Array.from({ length: terminal.count }, (_, index) => terminal.text(index));
    expect(rows.filter((text, index) => text !== lines[index])).toEqual(["Xine 200"]);
  });

  it("hands over what is finished, and all of it at the end", () => {
    const terminal = new Terminal({ lines: Infinity });
    terminal.write("x\n".repeat(150));
    expect(terminal.take()).toBe("x\n".repeat(51));
    terminal.write("y");
    expect(terminal.take(0)).toBe(`${"x\n".repeat(99)}y\n`);
    expect([terminal.count, terminal.written]).toEqual([0, 301]);
  });

  it("cuts a line of ten megabytes and says by how much", () => {
    const terminal = new Terminal({ width: 50 });
    terminal.write(`${"x".repeat(10_000_000)}\nnext`);
    expect(terminal.text(0)).toBe(`${"x".repeat(50)} … 9,999,950 more characters`);
    expect(terminal.text(1)).toBe("next");
  });
});

describe("style", () => {
  const classAfter = (...params: number[]): string => classOf(sgr(PLAIN, params));
  it.each([
    ["38:2::20:200:30", "term-c10"],
    ["38:2:20:200:30", "term-c10"],
    ["38:5:1;1", "term-c1 term-bold"],
    ["38:2", "term-c8"],
    ["48:2::7:4:1", ""],
    ["58;2;1;4;7", ""],
    ["58:5:1", ""],
    ["4:3", "term-underline"],
    ["4;4:0", ""],
    ["", ""],
  ])("%s is %s", (sequence, names) => expect(classAfter(...paramsOf(sequence))).toBe(names));

  it.each([
    [[31], "term-c1"],
    [[1, 92], "term-c10 term-bold"],
    [[31, 0], ""],
    [[38, 5, 1], "term-c1"],
    [[38, 5, 196], "term-c9"],
    [[38, 2, 20, 200, 30], "term-c10"],
    [[48, 5, 4, 1], "term-bold"],
    [[38, 5, 240], "term-c8"],
    [[7, 27, 4], "term-underline"],
    [[999], ""],
  ])("%j is %s", (params, names) => expect(classAfter(...params)).toBe(names));

  it("leaves no colour where something was erased", () => {
    const terminal = new Terminal();
    terminal.write("\u001b[31mabc\r\u001b[K\u001b[2C\u001b[0mx\n");
    expect(terminal.line(0).map((span) => [span.text, classOf(span.style)])).toEqual([["  x", ""]]);
  });

  it("splits a line where the style changes and nowhere else", () => {
    const terminal = new Terminal();
    terminal.write("a\u001b[31mb\u001b[31mc\u001b[0md\n");
    expect(terminal.line(0).map((span) => [span.text, classOf(span.style)])).toEqual([
      ["a", ""],
      ["bc", "term-c1"],
      ["d", ""],
    ]);
  });
});
