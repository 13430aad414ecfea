import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { Target } from "../../chat/model/types";
import {
  daysTrouble,
  engineWords,
  fromWire,
  labelTrouble,
  retentionBody,
  retentionWords,
  slugOf,
  slugTrouble,
  toWire,
} from "./model";
import { LANGUAGES, quickstart } from "./quickstart/snippets";

describe("slugs", () => {
  it.each(["ab", "a1", "support-bot", "0-0", "x".repeat(50)])("allows %j", (slug) =>
    expect(slugTrouble(slug)).toBeNull(),
  );
  it.each(["", "a", "x".repeat(51), "-ab", "ab-", "A1", "a_b", "a b", "ä1", "a.b", "a\nb"])(
    "refuses %j",
    (slug) => expect(slugTrouble(slug)).not.toBeNull(),
  );

  it.each([
    ["Support Bot", "support-bot"],
    ["  --Größe 2!  ", "gro-e-2"],
    ["Müller's résumé bot", "muller-s-resume-bot"],
    ["🦊", ""],
    ["a", ""],
    [`${"x".repeat(49)}-y`, "x".repeat(49)],
  ])("makes of %j the slug %j", (name, slug) => {
    expect(slugOf(name)).toBe(slug);
    if (slug) expect(slugTrouble(slug)).toBeNull();
  });
});

describe("targets on the wire", () => {
  const targets: Target[] = [
    { kind: "base", model: "m" },
    { kind: "final", jobId: "j" },
    { kind: "checkpoint", jobId: "j", step: 0 },
  ];
  it.each(targets)("%j comes back", (target) => expect(fromWire(toWire(target))).toEqual(target));

  it("does not guess at kinds it does not know", () => {
    expect(fromWire({ kind: "merged" } as never)).toBeNull();
    expect(fromWire({ kind: "adapter", adapter: { kind: "latest", jobId: "j" } } as never)).toBeNull();
    expect(fromWire(null)).toBeNull();
  });
});

describe("retention", () => {
  it("sends days with their mode alone", () => {
    expect(retentionBody("days", 30)).toEqual({ runRetentionMode: "days", runRetentionDays: 30 });
    expect(retentionBody("disabled", 30)).toEqual({ runRetentionMode: "disabled" });
    expect([1, 0, 1.5, Number.NaN].map((days) => daysTrouble(days) === null)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it("is said in words, unknown modes as they came", () => {
    expect(retentionWords("days", 1)).toBe("1 day");
    expect(retentionWords("hours", 3)).toBe("hours");
    expect(retentionWords(undefined, undefined)).toContain("default");
  });
});

it("labels are 1 to 80 characters after trimming", () => {
  expect(labelTrouble(`  ${"x".repeat(80)}  `)).toBeNull();
  expect(labelTrouble("x".repeat(81))).not.toBeNull();
  expect(labelTrouble(" \n")).not.toBeNull();
});

/** A stand-in for OpenAI's module; the last chunk of its stream reports the usage and has no text. */
const OPENAI = `
import sys, types
from unittest.mock import MagicMock
module = sys.modules["openai"] = types.ModuleType("openai")
module.OpenAI = MagicMock()
spoken = MagicMock()
spoken.choices[0].delta.content = "Hi"
spoken.choices.__bool__.return_value = True
module.OpenAI.return_value.chat.completions.create.return_value = [spoken, types.SimpleNamespace(choices=[])]
`;

/** Stand-ins that print a request as JSON in one line, and answer it. */
const CURL = `curl() {
  node -e '
    const [url, ...rest] = process.argv.slice(1);
    const key = rest.find((word) => word.startsWith("Authorization: "))?.slice(15) ?? null;
    console.log(JSON.stringify({ url, key, body: JSON.parse(rest.at(-1)) }));
  ' -- "$@"
}`;
const URLOPEN = `
import io, json, urllib.request
def seen(asked):
    print(json.dumps({"url": asked.full_url, "key": asked.get_header("Authorization"), "body": json.loads(asked.data)}))
    return io.BytesIO(b'{"data": [1], "results": [1]}')
urllib.request.urlopen = seen
`;
const FETCH = `
globalThis.fetch = async (url, { headers, body }) => {
  console.log(JSON.stringify({ url, key: headers.Authorization ?? null, body: JSON.parse(body) }));
  return { ok: true, json: async () => ({ data: [1], results: [1] }) };
};
`;

const BASE = "http://localhost:4000/e/support-bot/v1";

describe("quick start", () => {
  it.each(["none", "fixed_api_key"] as const)("is code that each language reads, %s", (auth) => {
    const curl = quickstart("curl", "support-bot", auth, BASE);
    const out = execFileSync("bash", ["-c", `curl() { printf '%s\\0' "$@"; }; ARKOR_API_KEY=k\n${curl}`], {
      encoding: "utf8",
    }).split("\0");
    expect(out).toContain(`${BASE}/chat/completions`);
    expect(out.includes("Authorization: Bearer k")).toBe(auth !== "none");
    expect(JSON.parse(out[out.indexOf("--data") + 1]!)).toMatchObject({ stream: true });

    const python = [OPENAI, quickstart("python", "support-bot", auth, BASE)].join("\n");
    const env = { ...process.env, ARKOR_API_KEY: "k" };
    expect(execFileSync("python3", ["-"], { input: python, encoding: "utf8", env })).toBe("Hi");
    const javascript = quickstart("javascript", "support-bot", auth, BASE) ?? "";
    execFileSync("node", ["--check", "--input-type=module", "-"], { input: javascript });
  });

  it.each([
    ["classify", "/classify", { input: ["My parcel is late."] }],
    ["embed", "/embeddings", { input: ["Where is my parcel?"], input_type: "query" }],
    ["rerank", "/rerank", { query: "Where is my parcel?" }],
  ])("calls what a model of the method %s answers, in each language", (method, path, fields) => {
    for (const auth of ["none", "fixed_api_key"] as const) {
      const env = { ...process.env, ARKOR_API_KEY: "k" };
      const seen = (program: string, input: string): unknown =>
        JSON.parse(
          execFileSync(
            program,
            program === "node" ? ["--input-type=module", "-"] : program === "bash" ? ["-s"] : ["-"],
            { input, encoding: "utf8", env },
          ).split("\n")[0]!,
        );
      const request = {
        url: BASE + path,
        key: auth === "none" ? null : "Bearer k",
        body: { model: "support-bot", ...fields },
      };
      const [curl, python, javascript] = LANGUAGES.map(({ value }) =>
        quickstart(value, "support-bot", auth, BASE, method),
      );
      expect(seen("bash", `${CURL}\n${curl}`)).toMatchObject(request);
      expect(seen("python3", `${URLOPEN}\n${python}`)).toMatchObject(request);
      expect(seen("node", `${FETCH}\n${javascript}`)).toMatchObject(request);
    }
  });

  it.each([undefined, null, "sft", "dpo", "constructor"])("calls a chat for the method %s", (method) =>
    expect(quickstart("curl", "ab", "none", BASE, method)).toContain("/chat/completions"),
  );

  it.each(['a"b', "a'b", "$(id)", "`id`", "a\nb"])("is not made of %j, an invalid address", (slug) => {
    for (const { value } of LANGUAGES) expect(quickstart(value, slug, "none", BASE)).toBeNull();
  });
});

describe("who answers", () => {
  const by = { engine: "llama.cpp", precision: "q8_0", weights: "0a1b" };
  it.each([
    ["auto", null, "Automatic: the first answer decides"],
    ["exact", null, "transformers"],
    ["auto", by, "llama.cpp, q8_0, weights 0a1b"],
    ["exact", { engine: "transformers", precision: "float32" }, "transformers, float32"],
  ] as const)("says %s with %j", (engine, known, words) => expect(engineWords(engine, known)).toBe(words));
});
