import { expect, test } from "vitest";
import { FIELD_NAMES, FIELDS, scanFlat, TIMESTAMP } from "./scan";

function scan(text: string): Record<string, number> | null {
  const padded = new TextEncoder().encode(`##${text}##`);
  const out = new Float64Array(FIELDS);
  if (!scanFlat(padded, 2, padded.length - 2, out)) return null;
  return Object.fromEntries(
    FIELD_NAMES.map((name, field) => [name, out[field]!]).filter(([, value]) => !Number.isNaN(value)),
  );
}

test("numbers come out exactly as JSON.parse reads them", () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const texts = [
    "0",
    "-0",
    "1",
    "0.1",
    "1e5",
    "1E-7",
    "-2.5e+3",
    "123456789012345678",
    "0.30000000000000004",
    "5e-324",
    "9007199254740993",
    "1.7976931348623157e308",
  ];
  for (let i = 0; i < 5000; i++) texts.push(String((random() - 0.5) * 10 ** Math.floor(random() * 40 - 20)));
  for (let i = 0; i < 20000; i++)
    texts.push(
      String(Math.fround(random() * 3)),
      (random() * 10).toFixed(18),
      `${Math.floor(random() * 1e9)}${Math.floor(random() * 1e9)}.${Math.floor(random() * 99)}`,
    );
  for (const text of texts) expect(scan(`{"loss": ${text}}`), text).toEqual({ loss: JSON.parse(text) });
});

test("fields are picked by name wherever they stand; others are passed over", () => {
  expect(
    scan(
      '{ "type":"training.log","step":7 ,"ok":true,"x":null,"epoch":0.5,"other":-1e3,"learningRate":1e-4,"tokensPerSecond":9}',
    ),
  ).toEqual({
    step: 7,
    epoch: 0.5,
    learningRate: 1e-4,
    tokensPerSecond: 9,
  });
  expect(scan("{}")).toEqual({});
  expect(scan(' {"step":1,"step":2} ')).toEqual({ step: 2 });
});

test("what is no finite number is a gap", () => {
  expect(scan('{"loss":null,"evalLoss":1e309,"learningRate":NaN,"epoch":-Infinity,"step":-1e999}')).toEqual({
    loss: -Infinity,
    evalLoss: Infinity,
    learningRate: Infinity,
    epoch: Infinity,
    step: Infinity,
  });
  expect(scan('{"loss":-1e999,"evalLoss":null,"learningRate":null,"epoch":null,"step":null}')).toEqual({
    loss: Infinity,
  });
  expect(scan('{"step":"12","loss":true}')).toEqual({});
});

for (const text of [
  "",
  "[]",
  "{",
  '{"step":1',
  '{"step":1,}',
  '{"step":01}',
  '{"step":1.}',
  '{"step":.5}',
  '{"step":1e}',
  '{"step":+1}',
  '{"step":-}',
  "{step:1}",
  '{"step":1}}',
  '{"step":1} x',
  '{"a":{"step":1}}',
  '{"a":[1]}',
  '{"a":"\\u0041"}',
  '{"a":"x\ny"}',
  '{"a":tru}',
  '{"a" 1}',
  '{"a":"',
  '{"step":1 "loss":2}',
  "null",
  '{"a":nul',
]) {
  test(`${JSON.stringify(text)} is left to JSON.parse`, () => expect(scan(text)).toBeNull());
}

test("time stamps agree with Date.parse", () => {
  const stamps = [
    "2026-11-25T00:09:12Z",
    "2026-11-25T00:09:12.5Z",
    "2024-02-29T23:59:59.123456Z",
    "1999-12-31T00:00:00.001+00:00",
    "2026-11-25T02:09:12.250+02:00",
    "2026-11-25T00:09:12.99-0530",
    "2026-11-25",
  ];
  for (const stamp of stamps)
    expect(scan(`{"timestamp":"${stamp}"}`), stamp).toEqual({ timestamp: Date.parse(stamp) });
  for (const text of ["yesterday", "2026-xx-25T00:09:12Z", "x".repeat(1000)])
    expect(scan(`{"timestamp":"${text}"}`)).toEqual({});
  expect(FIELD_NAMES[TIMESTAMP]).toBe("timestamp");
});
