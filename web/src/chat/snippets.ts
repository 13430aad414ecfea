/**
 * A question as a command to copy. The Studio token never goes onto the clipboard: the snippets read it
 * from the file that a running Studio keeps for this.
 */
import type { ChatRequest } from "../contract.gen";

const PATH = "/api/inference/chat";

/** Marks that reorder or hide text, which must not slip into a terminal unseen. */
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** JSON in which such marks are escapes; valid as JSON and, for strings, as Python. */
function visibleJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSEEN, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const shellQuote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A bash command; `origin` is where the page was opened, such as `http://localhost:4000`. */
export function asCurl(request: ChatRequest, origin: string): string {
  return [
    `ARKOR_STUDIO_TOKEN="$(cat ~/.arkor/studio-token)"`,
    `curl --no-buffer ${shellQuote(origin + PATH)} \\`,
    `  --header "X-Arkor-Studio-Token: $ARKOR_STUDIO_TOKEN" \\`,
    `  --header 'Content-Type: application/json' \\`,
    `  --data-raw ${shellQuote(visibleJson(request, 2))}`,
    "",
  ].join("\n");
}

/** A JSON value as a Python literal, indented by four spaces a level. */
export function pythonLiteral(value: unknown, indent = ""): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return visibleJson(value);
  const inner = `${indent}    `;
  const [open, close, items] = Array.isArray(value)
    ? ["[", "]", value.map((item) => pythonLiteral(item, inner))]
    : [
        "{",
        "}",
        Object.entries(value)
          .filter(([, item]) => item !== undefined)
          .map(([key, item]) => `${visibleJson(key)}: ${pythonLiteral(item, inner)}`),
      ];
  return items.length === 0 ? open + close : `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

/** A script that needs nothing but Python's standard library, and prints the answer as it comes. */
export function asPython(request: ChatRequest, origin: string): string {
  return `import json
import os
import pathlib
import urllib.request

token = os.environ.get("ARKOR_STUDIO_TOKEN") or pathlib.Path("~/.arkor/studio-token").expanduser().read_text().strip()
body = ${pythonLiteral(request)}
request = urllib.request.Request(
    ${visibleJson(origin + PATH)},
    data=json.dumps(body).encode(),
    headers={"X-Arkor-Studio-Token": token, "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as response:
    for line in response:
        field, _, data = line.decode().rstrip("\\r\\n").partition(": ")
        if field != "data" or data == "[DONE]":
            continue
        for choice in json.loads(data).get("choices", []):
            print(choice["delta"].get("content") or "", end="", flush=True)
print()
`;
}
