import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { asCurl, asPython, pythonLiteral } from "./snippets";
import type { ChatRequest } from "../contract.gen";

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
    const script = `cat() { echo secret; }\ncurl() { printf '%s\\0' "$@"; }\n${command}`;
    const words = execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\0");
    expect(words[1]).toBe("http://localhost:4000/api/inference/chat");
    expect(words).toContain("X-Arkor-Studio-Token: secret");
    expect(JSON.parse(words[words.indexOf("--data-raw") + 1]!)).toEqual(request);
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

  it("writes literals", () => {
    expect(pythonLiteral({ a: [], b: null, c: false, d: undefined, e: {} })).toBe(
      '{\n    "a": [],\n    "b": None,\n    "c": False,\n    "e": {},\n}',
    );
  });
});
