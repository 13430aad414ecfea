/** Code to copy for calling an endpoint. Keys come from the environment, never from the code. */
import { type AuthMode, slugTrouble } from "../model";

export type Language = "curl" | "python" | "javascript";

export const LANGUAGES: readonly { value: Language; label: string }[] = [
  { value: "curl", label: "curl" },
  { value: "python", label: "Python" },
  { value: "javascript", label: "JavaScript" },
];

/** Null for an invalid slug, which could mean anything inside code. A valid slug is safe in every language. */
export function quickstart(language: Language, slug: string, auth: AuthMode, base: string): string | null {
  if (slugTrouble(slug)) return null;
  const keyed = auth !== "none";
  if (language === "curl") {
    return [
      `curl --no-buffer ${base}/chat/completions \\`,
      ...(keyed ? [`  --header "Authorization: Bearer $ARKOR_API_KEY" \\`] : []),
      `  --header 'Content-Type: application/json' \\`,
      `  --data '{`,
      `    "model": "${slug}",`,
      `    "messages": [{"role": "user", "content": "Hello"}],`,
      `    "stream": true`,
      `  }'`,
    ].join("\n");
  }
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
