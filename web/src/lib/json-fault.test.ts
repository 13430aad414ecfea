import { expect, it, test } from "vitest";
import { jsonFault } from "./json-fault";

it.each([
  ["", 1, 1, "a value"],
  ["{", 1, 2, "a key in double quotes or }"],
  ['{"a" 1}', 1, 6, "a colon"],
  ['{"a": 1,}', 1, 9, "a key in double quotes"],
  ["{a: 1}", 1, 2, "a key in double quotes or }"],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3, "a comma or }"],
  ["[1 2]", 1, 4, "a comma or ]"],
  ["[1,]", 1, 4, "a value"],
  ["[", 1, 2, "a value or ]"],
  ['{"a": tru}', 1, 7, "a value"],
  ['{"a": 01}', 1, 7, "a value"],
  ['{"a": "no end}', 1, 7, "a value"],
  ["{} {}", 1, 4, "nothing more"],
  ["[}", 1, 2, "a value or ]"],
  ['{"a": [1}', 1, 9, "a comma or ]"],
])("%j", (text, line, column, expected) => {
  expect(jsonFault(text)).toEqual({ line, column, expected });
});

test("says so of the same texts as JSON.parse does", () => {
  const text = '{"a":[1,-2.5e+3,{"b":null,"c":[]},"x\\u0041\\n"],"d":{},"e":true}';
  expect(jsonFault(text)).toBeNull();
  const marks = ["", "{", "}", "[", "]", ",", ":", '"', "0", "\\", " ", "-", "e", "\n"];
  for (let position = 0; position < text.length; position++)
    for (const mark of marks) {
      const changed = text.slice(0, position) + mark + text.slice(position + 1);
      let valid = true;
      try {
        JSON.parse(changed);
      } catch {
        valid = false;
      }
      expect([changed, jsonFault(changed) === null]).toEqual([changed, valid]);
    }
  expect(jsonFault(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)).toBeNull();
});
