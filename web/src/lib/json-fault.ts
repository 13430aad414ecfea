/** Finds where a text stops being JSON, and what was expected there: browsers' own messages often have no position. */

const TOKEN =
  /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|((?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])))/uy;

/** What may come next, for display. */
const WANTED = {
  value: "a value",
  item: "a value or ]",
  key: "a key in double quotes",
  first: "a key in double quotes or }",
  colon: "a colon",
  more: "a comma or }",
  further: "a comma or ]",
  nothing: "nothing more",
} as const;

export interface JsonFault {
  /** From 1 on. */
  line: number;
  column: number;
  expected: string;
}

/** Null where `text` is JSON. */
export function jsonFault(text: string): JsonFault | null {
  const open: string[] = [];
  let next: keyof typeof WANTED = "value";
  let at = 0;
  const after = (): keyof typeof WANTED =>
    open.length === 0 ? "nothing" : open.at(-1) === "{" ? "more" : "further";
  while (true) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const [, mark, string] = match ?? [];
    if (!match) break;
    const expected = next;
    if (expected === "value" || expected === "item") {
      if (mark === "{" || mark === "[") {
        open.push(mark);
        next = mark === "{" ? "first" : "item";
      } else if (mark === undefined) next = after();
      else if (mark === "]" && expected === "item") {
        open.pop();
        next = after();
      } else break;
    } else if ((expected === "key" || expected === "first") && string !== undefined) next = "colon";
    else if (expected === "colon" && mark === ":") next = "value";
    else if ((expected === "more" || expected === "first") && mark === "}") {
      open.pop();
      next = after();
    } else if (expected === "further" && mark === "]") {
      open.pop();
      next = after();
    } else if (expected === "more" && mark === ",") next = "key";
    else if (expected === "further" && mark === ",") next = "value";
    else break;
    at = TOKEN.lastIndex;
  }
  at += /^[ \t\n\r]*/u.exec(text.slice(at))![0].length;
  if (at === text.length && next === "nothing") return null;
  const lines = text.slice(0, at).split("\n");
  return { line: lines.length, column: lines.at(-1)!.length + 1, expected: WANTED[next] };
}
