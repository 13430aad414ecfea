import { expect, it } from "vitest";
import { indentJson } from "./indent-json";

const laidOut = (text: string): string =>
  indentJson(text)
    .map((piece) => piece.text)
    .join("");

it("lays out what JSON.stringify would", () => {
  const value = { a: [1, { b: [] }, {}, 'x, {y}: \\" z'], "k:": null, c: { d: true } };
  expect(laidOut(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
  expect(laidOut(JSON.stringify(value, null, 7))).toBe(JSON.stringify(value, null, 2));
});

it("leaves each token as it was written", () => {
  expect(laidOut('{"n":12345678901234567890,"e":1e999,"a":"\\u0041","a":1.50}')).toBe(
    '{\n  "n": 12345678901234567890,\n  "e": 1e999,\n  "a": "\\u0041",\n  "a": 1.50\n}',
  );
});

it("tells keys", () => {
  const keys = indentJson('{"a": {"b": "c"}, "d": ["e"]}').filter((piece) => piece.key);
  expect(keys.map((piece) => piece.text)).toEqual(['"a"', '"b"', '"d"']);
});

it("loses nothing of a text that is cut, at whatever place", () => {
  const text = '{"name":"Ann \\"A\\" B","list":[1,-2.5e3,[{}]],"end":null}';
  for (let length = 0; length <= text.length; length++) {
    const part = text.slice(0, length);
    expect(laidOut(part).replace(/\s/gu, "")).toBe(part.replace(/\s/gu, ""));
  }
});

it("leaves prose, and what is too long or too deep to be laid out, in one piece", () => {
  for (const text of ["Certainly, here: it is", '"a, b"', "17", "", "[".repeat(100_001)])
    expect(indentJson(text)).toEqual([{ text, key: false }]);
  expect(laidOut("[".repeat(90_000)).length).toBeLessThan(90_000 * 70);
  expect(laidOut("{not JSON, but] words}")).toBe("{\n  not JSON,\n  but\n]words\n}");
});
