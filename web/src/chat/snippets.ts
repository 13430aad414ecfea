/**
 * A question as a command to copy. The Studio token never goes onto the clipboard: the snippets read it from the file
 * that a running Studio keeps for this.
 */
import type { ChatRequest } from "../contract.gen";

const PATH = "/api/inference/chat";

/** Characters that reorder or hide text, which must not slip into a terminal unseen. */
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** JSON in which such characters are escaped; valid as JSON and, for strings, as Python. */
function visibleJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    UNSEEN,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const shellQuote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * A bash command; `origin` is the page's origin, such as `http://localhost:4000`. The request goes through standard
 * input, which has no length limit; no line of JSON is `END`.
 */
export function asCurl(request: ChatRequest, origin: string): string {
  return [
    `ARKOR_STUDIO_TOKEN="$(cat ~/.arkor/studio-token)"`,
    `curl --no-buffer ${shellQuote(origin + PATH)} \\`,
    `  --header "X-Arkor-Studio-Token: $ARKOR_STUDIO_TOKEN" \\`,
    `  --header 'Content-Type: application/json' \\`,
    `  --data-binary @- <<'END'`,
    visibleJson(request, 2),
    "END",
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
  return items.length === 0
    ? open + close
    : `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

/** A script that needs only Python's standard library, and prints the answer as it arrives, in any form. */
export function asPython(request: ChatRequest, origin: string): string {
  return `import json
import os
import pathlib
import sys
import urllib.request

token = os.environ.get("ARKOR_STUDIO_TOKEN") or pathlib.Path("~/.arkor/studio-token").expanduser().read_text().strip()
body = ${pythonLiteral(request)}
request = urllib.request.Request(
    ${visibleJson(origin + PATH)},
    data=json.dumps(body).encode(),
    headers={"X-Arkor-Studio-Token": token, "Content-Type": "application/json"},
)


def text_of(data):
    try:
        piece = json.loads(data)
    except ValueError:
        return data
    if not isinstance(piece, dict):
        return piece if isinstance(piece, str) else data
    if piece.get("error"):
        sys.exit(f"The backend says: {piece['error']}")
    for choice in piece.get("choices") or [piece]:
        piece = choice.get("delta") or choice.get("message") or choice
    return piece.get("content") or piece.get("text") or ""


with urllib.request.urlopen(request) as response:
    event = ""
    for line in response:
        field, _, data = line.decode().rstrip("\\r\\n").partition(":")
        data = data.removeprefix(" ")
        if field == "event":
            event = data
        elif field == "data" and event == "error":
            sys.exit(f"The backend says: {data}")
        elif field == "data" and data != "[DONE]" and event not in ("ping", "progress", "end"):
            print(text_of(data), end="", flush=True)
        elif field == "":
            event = ""
print()
`;
}
