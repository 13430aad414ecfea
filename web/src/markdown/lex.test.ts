import type { Token } from "marked";
import { describe, expect, it } from "vitest";
import { lex, MAX_MARKDOWN, MarkdownStream } from "./lex";
import { decodeEntities, safeHref } from "./safe";

const documents = [
  "# Title\n\nSome *text* with `code`.\n\n- one\n- two\n\n  still two\n- [x] done\n\n1. a\n2. b\n\n> quote\n> more\n\nend",
  "para\ngoes on\n===\n\n```py\nprint('```')\n\n- not a list\n```\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n    indented\n\n    still\n\n---\n<div>\nhtml\n</div>\n\nlast",
  "- a\n\n  - b\n\n    c\n\n\n\nd\n\n```\nnever closed\n\n# inside",
  "x\r\n\r\ny\r\n- z\r\n",
  "1. a\n2. b\nline\nother line\n3. c\n\nend",
  "- a\n  - b\nline\n- c\n\n  d\nlast\n\nend",
];

const shape = (tokens: readonly Token[]) =>
  JSON.parse(JSON.stringify(tokens.filter((token) => token.type !== "space")));

it.each([
  ["1. Trim the wick.\n2. Fill the tank.\nKeep the lamp lit.", ["list", "paragraph"]],
  ["- a\n  - b\nKeep the lamp\nlit.\n\nMore", ["list", "paragraph", "space", "paragraph"]],
  ["- a\n  goes on\n- b", ["list"]],
  ["1. a\n2", ["list"]],
  ["- a\n\n      code\n```\n- b\nc\n```", ["list", "code"]],
])("ends a list before the line that follows its last item: %j", (source, types) => {
  expect(lex(source).map(({ type }) => type)).toEqual(types);
  expect(
    lex(source)
      .map(({ raw }) => raw)
      .join(""),
  ).toBe(source);
  expect(lex("1. a\n2. b\nc", false)).toHaveLength(1);
});

describe("MarkdownStream", () => {
  it.each(documents)("reads %j in any pieces as it reads the whole", (source) => {
    const expected = shape(lex(source.replace(/\r\n?/gu, "\n")));
    for (const size of [1, 2, 3, 7, 19]) {
      const stream = new MarkdownStream();
      let blocks: readonly Token[] = [];
      for (let end = size; end < source.length + size; end += size)
        blocks = stream.read(source.slice(0, end)).blocks;
      expect(shape(blocks)).toEqual(expected);
    }
  });

  it("keeps the very blocks that stand", () => {
    const stream = new MarkdownStream();
    const [first] = stream.read("one\n\ntwo").blocks;
    expect(stream.read("one\n\ntwo and more").blocks[0]).toBe(first);
  });

  it("reads a shorter text anew", () => {
    const stream = new MarkdownStream();
    stream.read("one\n\ntwo\n\nthree");
    expect(stream.read("other").blocks).toMatchObject([{ type: "paragraph", raw: "other" }]);
  });

  it("costs what the last block costs, not what the answer costs", () => {
    const stream = new MarkdownStream();
    const parts = Array.from({ length: 1500 }, (_, n) => `Paragraph ${n} with **bold** and \`code\`.\n\n`);
    let text = "";
    const started = performance.now();
    for (const part of parts) stream.read((text += part));
    const streamed = performance.now() - started;
    const again = performance.now();
    for (let n = 0; n < 10; n += 1) lex(text);
    const whole = (performance.now() - again) / 10;
    // Lexing the whole each time would cost about 750 wholes.
    expect(streamed).toBeLessThan(whole * 60);
  });

  it("leaves what is beyond the bound as text", () => {
    const { blocks, rest } = new MarkdownStream().read("a\n\n".repeat(MAX_MARKDOWN));
    expect(blocks.reduce((sum, block) => sum + block.raw.length, 0)).toBe(MAX_MARKDOWN);
    expect(rest).toHaveLength(2 * MAX_MARKDOWN);
  });

  it("drops control characters, also those of terminals, and marks that turn text around", () => {
    expect(new MarkdownStream().read("a\x1b[31mb\0\tc \u202egnp.exe\u202c \u200fא").blocks[0]!.raw).toBe(
      "a[31mb\tc gnp.exe \u200fא",
    );
  });
});

const hostile: [string, string][] = [
  ["quotations", ">".repeat(50_000)],
  ["lists on a line", `${"- ".repeat(20_000)}a`],
  ["lists by indent", Array.from({ length: 400 }, (_, n) => `${"  ".repeat(n)}- x`).join("\n")],
  ["brackets", "[".repeat(50_000)],
  ["emphasis", "*a".repeat(8_000)],
  ["emphasis, long", "*a".repeat(50_000)],
  ["ticks", "`a``".repeat(20_000)],
  ["links", "[a](".repeat(20_000)],
  ["tags", "<a ".repeat(30_000)],
  ["pipes", `${"|".repeat(20_000)}\n${"|-".repeat(10_000)}`],
  ["a rule", "-".repeat(100_000)],
];

describe("lex", () => {
  it.each(hostile)("reads hostile %s in bounded time without throwing", (_name, source) => {
    const started = performance.now();
    const tokens = lex(source);
    expect(performance.now() - started).toBeLessThan(2500);
    expect(tokens.map((token) => token.raw).join("").length).toBeGreaterThanOrEqual(source.length - 2);
  });

  it("shows a hostile line as text and reads what is around it", () => {
    const blocks = lex(`# Title\n\n${">".repeat(50)} deep\nplain *again*`);
    expect(blocks.map((block) => block.type)).toEqual(["heading", "space", "plain", "paragraph"]);
    expect(blocks.map((block) => block.raw).join("")).toBe(
      `# Title\n\n${">".repeat(50)} deep\nplain *again*`,
    );
  });

  it("still reads rules and ordinary nesting", () => {
    expect(lex("-".repeat(40))[0]!.type).toBe("hr");
    expect(lex("> > - a")[0]!.type).toBe("blockquote");
  });
});

describe("safeHref", () => {
  it.each([
    "javascript:alert(1)",
    " java\nscript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "/api/jobs",
    "#x",
    "mailto:a@b.c",
    "file:///etc/passwd",
    "blob:x",
    "",
  ])("refuses %j", (href) => expect(safeHref(href)).toBeNull());
  it.each(["http://a.b/c?d#e", "https://a.b/"])("allows %j", (href) => expect(safeHref(href)).toBe(href));
});

describe("decodeEntities", () => {
  it("reads named and numbered ones and leaves the rest", () => {
    expect(
      decodeEntities("a &amp;&lt;b&gt; &#169; &#x1F98A; &nope; &constructor; & &#0; &#xD800; &#9999999;"),
    ).toBe("a &<b> © 🦊 &nope; &constructor; & \ufffd \ufffd \ufffd");
  });

  it("drops what is dropped where it is written raw: turned text, zero width, controls", () => {
    for (const code of [0x202e, 0x2066, 0x200b, 0xfeff, 0x2060, 0x9b]) {
      expect(decodeEntities(`&#${code};gnp.exe`)).toBe("gnp.exe");
      expect(decodeEntities(`&#x${code.toString(16)};gnp.exe`)).toBe("gnp.exe");
      expect(new MarkdownStream().read(`${String.fromCodePoint(code)}gnp.exe`).blocks[0]!.raw).toBe(
        "gnp.exe",
      );
    }
    // Words of right-to-left languages and joined emoji need these; they do not affect the text around them.
    expect(decodeEntities("\u202egnp.exe a\u200bb")).toBe("gnp.exe ab");
    expect(decodeEntities("&#x200F;&#x200D;&#x200C;")).toBe("\u200f\u200d\u200c");
    expect(decodeEntities("&rlm;&ZeroWidthSpace;")).toBe("&rlm;&ZeroWidthSpace;");
  });
});

it("a line break in an answer is a line break on the page", () => {
  const [list] = lex("1. Bearing 035: turn it.\nKeep the lamp lit.\n2. Bearing 120: the box.");
  const first = (list as { items: { tokens: { tokens: { type: string }[] }[] }[] }).items[0]!;
  expect(first.tokens[0]!.tokens.map(({ type }) => type)).toEqual(["text", "br", "text"]);
});
