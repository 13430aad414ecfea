import { expect, test } from "vitest";
import { SseParser } from "./sse";

interface Seen {
  events: [string, string][];
  comments: string[];
  parser: SseParser;
}

function collect(): Seen {
  const events: [string, string][] = [];
  const comments: string[] = [];
  const parser = new SseParser({
    event: (name, data) => events.push([name, data]),
    comment: (text) => comments.push(text),
  });
  return { events, comments, parser };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const STREAM =
  ': connected\n\nid: 1\nevent: training.log\ndata: {"step":1}\n\n' +
  "data:no space\ndata: second — ünï\ndata:\n\nevent: end\n\nid: 7\n\nretry: 5\nnonsense\n\ndata\n\n: bye\nid:8\ndata: x:y\n\n";
const EVENTS = [
  ["training.log", '{"step":1}'],
  ["message", "no space\nsecond — ünï\n"],
  ["end", ""],
  ["message", ""],
  ["message", "x:y"],
];

for (const [label, newline] of [
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
] as const) {
  test(`frames with ${label} are the same at every cut`, () => {
    const stream = bytes(STREAM.replaceAll("\n", newline));
    for (let size = 1; size <= stream.length; size++) {
      const { events, comments, parser } = collect();
      for (let i = 0; i < stream.length; i += size) parser.push(stream.slice(i, i + size));
      expect(events, `pieces of ${size}`).toEqual(EVENTS);
      expect(comments).toEqual(["connected", "bye"]);
    }
  });
}

test("a byte order mark at the start is no part of the first field", () => {
  const { events, parser } = collect();
  parser.push(bytes("\uFEFFdata: a\n\ndata: \uFEFFb\n\n"));
  expect(events.map(([, data]) => data.length)).toEqual([1, 2]);
});

test("the bytes of whole frames are counted, comments left out, at every cut", () => {
  const frames = [
    'id: 1\nevent: training.log\ndata: {"step":1}\n\n',
    "data: ünï\n\n",
    "id: 7\n\n",
    ": reconnecting\n\n",
    "id: 8\n: note\ndata: x\n\n",
  ];
  const stream = bytes(frames.join(""));
  const expected = stream.length - bytes(frames[3]!).length;
  for (let size = 1; size <= stream.length; size++) {
    const { parser } = collect();
    for (let i = 0; i < stream.length; i += size) parser.push(stream.slice(i, i + size));
    parser.push(bytes("data: not whole yet\n"));
    expect(parser.consumed, `pieces of ${size}`).toBe(expected);
    parser.reset();
    expect(parser.consumed).toBe(0);
  }
});

test("reset drops what was cut off", () => {
  const { events, parser } = collect();
  parser.push(bytes("event: x\ndata: lost"));
  parser.reset();
  parser.push(bytes("data: kept\n\n"));
  expect(events).toEqual([["message", "kept"]]);
});

test("a 10 MB line in small chunks is one event, without quadratic time", () => {
  const { events, parser } = collect();
  const piece = bytes("x".repeat(1 << 14));
  const started = performance.now();
  parser.push(bytes("id: 1\nevent: big\ndata: "));
  for (let i = 0; i < 640; i++) parser.push(piece);
  parser.push(bytes("\n\n"));
  expect(events.map(([name, data]) => [name, data.length])).toEqual([["big", 640 << 14]]);
  expect(performance.now() - started).toBeLessThan(2000);
});

test("bytes that are not UTF-8 cost their characters only", () => {
  const { events, parser } = collect();
  parser.push(new Uint8Array([...bytes("data: a"), 0xff, ...bytes("b\n\ndata: c\n\n")]));
  expect(events).toEqual([
    ["message", "a\ufffdb"],
    ["message", "c"],
  ]);
});
