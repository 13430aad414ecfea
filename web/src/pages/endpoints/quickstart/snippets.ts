/** Code to copy for calling an endpoint. Keys come from the environment, never from the code. */
import { type AuthMode, slugTrouble } from "../model";

export type Language = "curl" | "python" | "javascript";

export const LANGUAGES: readonly { value: Language; label: string }[] = [
  { value: "curl", label: "curl" },
  { value: "python", label: "Python" },
  { value: "javascript", label: "JavaScript" },
];

interface Call {
  /** What it answers, as a heading. */
  label: string;
  /** Below the endpoint's base URL. */
  path: string;
  /** The request but for its model: JSON, which is Python and JavaScript, too. */
  fields: readonly string[];
  /** The answer's part to print. */
  answer: string;
}

const CHAT: Call = {
  label: "Chat completions",
  path: "/chat/completions",
  fields: ['"messages": [{"role": "user", "content": "Hello"}]', '"stream": true'],
  answer: "",
};

/** The calls that models without chats answer, by the method that they were trained with. */
const CALLS: Readonly<Record<string, Call>> = {
  classify: {
    label: "Classification",
    path: "/classify",
    fields: ['"input": ["My parcel is late."]'],
    answer: "data",
  },
  embed: {
    label: "Embeddings",
    path: "/embeddings",
    fields: ['"input": ["Where is my parcel?"]', '"input_type": "query"'],
    answer: "data",
  },
  rerank: {
    label: "Reranking",
    path: "/rerank",
    fields: [
      '"query": "Where is my parcel?"',
      '"documents": ["We accept invoices.", "Parcels are tracked under Orders."]',
    ],
    answer: "results",
  },
};

/** The call that an endpoint answers whose model was trained with `method`; chats unless it is one without. */
export const callOf = (method: string | null | undefined): Call =>
  (Object.hasOwn(CALLS, method ?? "") && CALLS[method ?? ""]) || CHAT;

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is a template of the copied code.
const JS_KEY = "    Authorization: `Bearer ${process.env.ARKOR_API_KEY}`,\n";

/** Null for an invalid slug, which could mean anything inside code. A valid slug is safe in every language. */
export function quickstart(
  language: Language,
  slug: string,
  auth: AuthMode,
  base: string,
  method?: string | null,
): string | null {
  if (slugTrouble(slug)) return null;
  const keyed = auth !== "none";
  const call = callOf(method);
  const lines = [`"model": "${slug}"`, ...call.fields];
  if (language === "curl") {
    return [
      `curl ${call === CHAT ? "--no-buffer " : ""}${base}${call.path} \\`,
      ...(keyed ? [`  --header "Authorization: Bearer $ARKOR_API_KEY" \\`] : []),
      `  --header 'Content-Type: application/json' \\`,
      `  --data '{`,
      lines.map((line) => `    ${line}`).join(",\n"),
      `  }'`,
    ].join("\n");
  }
  const body = lines.map((line) => `    ${line},\n`).join("");
  if (call !== CHAT && language === "python")
    return `import json
${keyed ? "import os\n" : ""}import urllib.request

body = {
${body}}
request = urllib.request.Request(
    "${base}${call.path}",
    data=json.dumps(body).encode(),
    headers={
${keyed ? '        "Authorization": f"Bearer {os.environ[\'ARKOR_API_KEY\']}",\n' : ""}        "Content-Type": "application/json",
    },
)
with urllib.request.urlopen(request) as response:
    for item in json.load(response)["${call.answer}"]:
        print(item)`;
  if (call !== CHAT)
    return `const body = {
${body}};
const response = await fetch("${base}${call.path}", {
  method: "POST",
  headers: {
${keyed ? JS_KEY : ""}    "Content-Type": "application/json",
  },
  body: JSON.stringify(body),
});
if (!response.ok) throw new Error(await response.text());
console.log((await response.json()).${call.answer});`;
  if (language === "python") {
    return `# pip install openai
${keyed ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(
    base_url="${base}",
    api_key=${keyed ? 'os.environ["ARKOR_API_KEY"]' : '"none"'},
)
stream = client.chat.completions.create(
    model="${slug}",
    messages=[{"role": "user", "content": "Hello"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`;
  }
  return `// npm install openai
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "${base}",
  apiKey: ${keyed ? "process.env.ARKOR_API_KEY" : '"none"'},
});
const stream = await client.chat.completions.create({
  model: "${slug}",
  messages: [{ role: "user", content: "Hello" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}`;
}
