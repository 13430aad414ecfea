import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { ChatRequest } from "../contract.gen";
import { asCurl, asPython, pythonLiteral } from "./snippets";

const nasty = `it's "quoted" $HOME \`id\` \\ back\nnew ‮line ✓ 'end'`;
const request: ChatRequest = {
  messages: [{ role: "user", content: nasty }],
  baseModel: "a/b",
  temperature: 0.5,
  stream: true,
};

describe("asCurl", () => {
  const command = asCurl(request, "http://localhost:4000");

  it("survives a real shell word by word", () => {
    const script = `cat() { echo secret; }\ncurl() { printf '%s\\0' "$@"; command cat; }\n${command}`;
    const words = execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\0");
    expect(words[1]).toBe("http://localhost:4000/api/inference/chat");
    expect(words).toContain("X-Arkor-Studio-Token: secret");
    expect(JSON.parse(words.at(-1)!)).toEqual(request);
  });

  it("reads the token instead of holding it, and shows marks that hide", () => {
    expect(command).toContain("~/.arkor/studio-token");
    expect(command).not.toContain("‮");
    expect(command).toContain("\\u202e");
  });
});

describe("asPython", () => {
  it("is Python, and its body is the request", () => {
    const script = asPython(request, "http://localhost:4000");
    const check = [
      "import sys, ast, json",
      "tree = ast.parse(sys.stdin.read())",
      "body = next(n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == 'body')",
      "print(json.dumps(ast.literal_eval(body.value)))",
    ].join("\n");
    const out = execFileSync("python3", ["-c", check], { input: script, encoding: "utf8" });
    expect(JSON.parse(out)).toEqual(request);
  });

  const run = (...lines: string[]): string => {
    const answer = [
      "import urllib.request",
      "class Answer(list):",
      "    __enter__ = lambda self: self",
      "    __exit__ = lambda self, *fault: None",
      `urllib.request.urlopen = lambda request: Answer(line.encode() + b'\\n' for line in ${JSON.stringify(lines)})`,
    ];
    const script = `${answer.join("\n")}\n${asPython(request, "http://localhost:4000")}`;
    return execFileSync("python3", ["-c", script], {
      encoding: "utf8",
      env: { ...process.env, ARKOR_STUDIO_TOKEN: "t" },
      stdio: "pipe",
    });
  };

  it("prints an answer in whatever form it streams", () => {
    const chunk = JSON.stringify({ choices: [{ delta: { content: "a" } }] });
    const usage = JSON.stringify({ choices: [], usage: { completion_tokens: 1 } });
    expect(
      run(
        "event: ping",
        "data: {}",
        "",
        `data: ${chunk}`,
        "",
        `data:${chunk}`,
        "",
        `data: ${usage}`,
        "",
        "data: [DONE]",
      ),
    ).toBe("aa\n");
    expect(
      run(
        'data: "b"',
        "",
        'data: {"content": "c"}',
        "",
        'data: {"text": "d"}',
        "",
        "data: bare",
        "",
        "event: end",
        "data: {}",
      ),
    ).toBe("bcdbare\n");
  });

  it.each([[['data: {"error": "no memory"}']], [["event: error", "data: no memory"]]])(
    "fails with the backend's words: %j",
    (lines) => {
      expect(() => run(...lines)).toThrow(/The backend says: no memory/);
    },
  );

  it("writes literals", () => {
    expect(pythonLiteral({ a: [], b: null, c: false, d: undefined, e: {} })).toBe(
      '{\n    "a": [],\n    "b": None,\n    "c": False,\n    "e": {},\n}',
    );
  });
});
