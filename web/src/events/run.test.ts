import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { MAX_EVENT_BYTES } from "./records";
import { Run } from "./run";
import { SseParser } from "./sse";

function feed(run: Run, name: string, data: unknown): void {
  const text =
    typeof data === "string"
      ? data
      : JSON.stringify({ type: name, timestamp: "2026-11-25T00:00:10Z", ...(data as object) });
  run.add(name, text);
}

test("rows keep every point; a non-number is a gap, an absent value is nothing", () => {
  const run = new Run();
  feed(run, "training.log", { step: 1, loss: 2.5, learningRate: 1e-3, epoch: 0.1 });
  feed(run, "training.log", { step: 2, loss: null });
  feed(run, "training.log", { step: 2, loss: null, evalLoss: 2.2 });
  feed(run, "training.log", { step: 3, evalLoss: 2.1 });
  feed(run, "training.log", '{"step":4,"loss":1e309,"timestamp":"2026-11-25T00:00:11Z"}');
  feed(run, "training.log", '{"step":5,"loss":NaN}');
  feed(run, "training.log", '{"step":1e309,"loss":1}');
  feed(run, "training.log", { loss: 1 });
  expect([...run.rows.step.values()]).toEqual([1, 2, 2, 3, 4, 5]);
  expect([...run.rows.loss.values()]).toEqual([2.5, Infinity, NaN, NaN, Infinity, Infinity]);
  expect([...run.rows.evalLoss.values()]).toEqual([NaN, NaN, 2.2, 2.1, NaN, NaN]);
  expect(run.rows.time.at(4)).toBe(Date.UTC(2026, 10, 25, 0, 0, 11));
  expect(run.bestLoss).toEqual({ value: 2.5, step: 1 });
  expect(run.bestEvalLoss).toEqual({ value: 2.1, step: 3 });
  expect(run.records.length).toBe(8);
});

test("the verdict so far is the newest evaluation's, until its step is done again", () => {
  const run = new Run();
  const verdictSoFar = { state: "open", sentence: "Not yet: no clear difference." };
  feed(run, "training.log", { step: 4, evalLoss: 2, verdictSoFar });
  feed(run, "training.log", { step: 8, evalLoss: 1, verdictSoFar: { state: "better", sentence: "Better." } });
  feed(run, "training.log", { step: 9, loss: 1, verdictSoFar: "Better" });
  expect(run.soFar).toEqual({ step: 8, state: "better", sentence: "Better." });
  feed(run, "training.resumed", { step: 8, message: "" });
  expect(run.soFar?.step).toBe(8);
  feed(run, "training.resumed", { step: 5, message: "" });
  expect(run.soFar).toBeNull();
});

test("a training method's own figures are columns of their own, and go with rows that are done again", () => {
  const run = new Run();
  const figures = [
    { name: "margin", label: "Margin", unit: "nats" },
    { name: "__proto__", label: "x" },
    { name: "a b", label: "x" },
    "accuracy",
    { name: "accuracy" },
  ];
  feed(run, "training.log", { step: 0, loss: 3, margin: 9 });
  feed(run, "training.started", { metadata: { figures } });
  feed(run, "training.log", { step: 1, loss: 2, margin: 0.5, accuracy: 0.75, other: 1 });
  feed(run, "training.log", { step: 2, evalLoss: 2, evalMargin: 0.25, evalAccuracy: null });
  expect(run.figures).toEqual([
    { name: "margin", label: "Margin", unit: "nats" },
    { name: "accuracy", label: "accuracy", unit: "" },
  ]);
  const { rows } = run;
  expect(rows.figure("margin").values()).toEqual([NaN, 0.5, NaN]);
  expect(rows.figure("accuracy").values()).toEqual([NaN, 0.75, NaN]);
  expect(rows.figure("evalMargin").values()).toEqual([NaN, NaN, 0.25]);
  expect(rows.figure("evalAccuracy").values()).toEqual([NaN, NaN, Infinity]);
  rows.cut(1);
  rows.add(2, 0, 0, 1, NaN, 0, 0, 0);
  expect(rows.figure("evalMargin").values()).toEqual([NaN, NaN, NaN]);
});

test("null is absent, but for a row whose only loss it is; what is out of range is a gap beside whatever else", () => {
  const run = new Run();
  for (const more of ["", ',"nested":{}']) {
    feed(
      run,
      "training.log",
      `{"step":1,"loss":2,"evalLoss":null,"learningRate":null,"epoch":null,"tokensPerSecond":null,"samplesPerSecond":null${more}}`,
    );
    feed(run, "training.log", `{"step":2,"loss":null,"evalLoss":null${more}}`);
    feed(run, "training.log", `{"step":3,"loss":1e309,"evalLoss":2${more}}`);
    feed(run, "training.log", `{"step":4,"loss":1,"evalLoss":-1e309${more}}`);
  }
  const { rows } = run;
  expect(rows.loss.values()).toEqual([2, Infinity, Infinity, 1, 2, Infinity, Infinity, 1]);
  expect(rows.evalLoss.values()).toEqual([NaN, NaN, 2, Infinity, NaN, NaN, 2, Infinity]);
  for (const column of [rows.lr, rows.epoch, rows.tokensPerSecond, rows.samplesPerSecond])
    expect(column.values()).toEqual(new Array(8).fill(NaN));
  expect(run.bestLoss).toEqual({ value: 1, step: 4 });
});

test("nested or escaped rows give the same points as flat ones", () => {
  const run = new Run();
  feed(run, "training.log", { step: 1, loss: 0.5, note: 'a "quoted" \n word', more: { step: 99, loss: 99 } });
  feed(run, "training.log", { step: 2, loss: null, more: [] });
  expect([...run.rows.step.values()]).toEqual([1, 2]);
  expect([...run.rows.loss.values()]).toEqual([0.5, Infinity]);
  expect(run.rows.time.at(0)).toBe(Date.UTC(2026, 10, 25, 0, 0, 10));
});

test("numbers are read exactly, and Python's NaN and Infinity only where they are numbers", () => {
  const run = new Run();
  const losses = ["0.30000000000000004", "5e-324", "-2.5E+3", "9007199254740993", "1.7976931348623157e308"];
  for (const [step, loss] of losses.entries()) feed(run, "training.log", `{"step":${step},"loss":${loss}}`);
  expect(run.rows.loss.values()).toEqual(losses.map(Number));
  run.clear();
  feed(run, "training.log", '{"step":1,"loss":-Infinity,"evalLoss":2,"note":"NaN \\" Infinity","epoch":NaN}');
  feed(run, "training.message", '{"message":"NaN \\" Infinity","code":"diverging","step":NaN}');
  expect([run.rows.loss.at(0), run.rows.evalLoss.at(0), run.rows.epoch.at(0)]).toEqual([
    Infinity,
    2,
    Infinity,
  ]);
  expect(run.rising).toBe('NaN " Infinity');
});

test("hostile data give no point and stop nothing", () => {
  const run = new Run();
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  for (const data of [
    `{"step":1,"loss":${"9".repeat(5000)}}`,
    `{"step":2,"loss":3,"deep":${deep}}`,
    `{"step":3,"loss":NaN,"note":"${"\\\\".repeat(500_000)}`,
    `{"step":${"[".repeat(200_000)}`,
    '{"step":"4","loss":true,"timestamp":{}}',
    '{"__proto__":{"step":9},"step":5,"loss":1}',
  ])
    feed(run, "training.log", data);
  expect(run.rows.step.values()).toEqual([1, 2, 5]);
  expect(run.rows.loss.values()).toEqual([Infinity, 3, 1]);
  expect(run.records.length).toBe(6);
});

test("a run's story: start, progress, checkpoints, end", () => {
  const run = new Run();
  feed(run, "model.progress", { label: "Fetching", done: 5, total: 10 });
  feed(run, "model.progress", { label: "Converting", done: 1, total: null });
  feed(run, "training.started", { metadata: { totalSteps: 60, device: "cpu" } });
  feed(run, "checkpoint.saved", { step: 20, artifacts: [{ kind: "checkpoint", step: 20, bytes: 9 }, "odd"] });
  feed(run, "checkpoint.saved", { step: 20 });
  feed(run, "checkpoint.saved", { step: 40 });
  expect(run.progress).toEqual({ label: "Converting", done: 1, total: null });
  expect(run.metadata).toEqual({ totalSteps: 60, device: "cpu" });
  expect(run.checkpoints.map(({ step, artifacts }) => [step, artifacts.length])).toEqual([
    [20, 0],
    [40, 0],
  ]);
  feed(run, "checkpoint.removed", { step: 20 });
  expect(run.checkpoints.map(({ step }) => step)).toEqual([40]);
  expect([run.outcome, run.over]).toEqual([null, false]);
  feed(run, "training.completed", { metrics: { loss: 0.3 }, artifacts: [{ kind: "adapter" }] });
  feed(run, "end", {});
  expect([run.outcome, run.over, run.metrics.loss, run.artifacts.length]).toEqual([
    "completed",
    true,
    0.3,
    1,
  ]);
  expect(run.records.names).toEqual([
    "model.progress",
    "training.started",
    "checkpoint.saved",
    "checkpoint.removed",
    "training.completed",
  ]);
  run.clear();
  expect([run.outcome, run.over, run.records.length, run.rows.length, run.checkpoints.length]).toEqual([
    null,
    false,
    0,
    0,
    0,
  ]);
});

test("a run that is resumed has begun when it first did", () => {
  const run = new Run();
  feed(run, "training.started", { timestamp: "2026-11-25T00:00:00Z", metadata: { totalSteps: 60 } });
  feed(run, "training.started", { timestamp: "2026-11-25T01:00:00Z", metadata: { totalSteps: 90 } });
  expect([run.startedAt, run.metadata]).toEqual([Date.UTC(2026, 10, 25), { totalSteps: 90 }]);
});

test("failures keep their text, whatever its type", () => {
  const run = new Run();
  feed(run, "training.failed", { error: { code: 7 } });
  expect([run.outcome, run.error]).toEqual(["failed", '{"code":7}']);
  feed(run, "training.failed", {});
  expect(run.error).toBeNull();
  feed(run, "training.failed", { error: null });
  expect(run.error).toBeNull();
});

test("unknown names and data that are not JSON are kept raw, and ignored", () => {
  const run = new Run();
  feed(run, "training.log", "step 3 of 9 <b>");
  feed(run, "odd.event", "[1,2]");
  feed(run, "training.completed", "null");
  expect(run.records.entry(0)).toMatchObject({ name: "training.log", data: "step 3 of 9 <b>", time: NaN });
  expect([run.records.length, run.rows.length, run.outcome]).toEqual([3, 0, null]);
});

test("frames without a name go by their type", () => {
  const run = new Run();
  feed(run, "message", '{"type":"training.log","step":1,"loss":2}');
  expect([run.rows.length, run.records.names]).toEqual([1, ["training.log"]]);
});

test("a huge event is kept in part and says its size", () => {
  const run = new Run();
  feed(run, "training.message", { message: "x".repeat(10_000_000) });
  feed(run, "training.log", { step: 1, loss: 1 });
  const entry = run.records.entry(0);
  expect(entry.data.length).toBe(MAX_EVENT_BYTES);
  expect(entry.size).toBeGreaterThan(10_000_000);
  expect(run.records.entry(1).data).toContain('"step":1');
});

test("an event that is cut within a character leaves the next one whole", () => {
  const run = new Run();
  const long = `{"message":"x${"é".repeat(MAX_EVENT_BYTES)}"}`;
  for (const data of [long, '{"message":"next"}', long]) feed(run, "training.message", data);
  expect(run.records.entry(0).data).toBe(`${long.slice(0, 13 + 32_761)}\ufffd`);
  expect(run.records.entry(1).data).toBe('{"message":"next"}');
  expect(run.records.entry(2)).toMatchObject({
    data: run.records.entry(0).data,
    size: 2 * MAX_EVENT_BYTES + 15,
  });
});

test("records can be filtered by name", () => {
  const run = new Run();
  for (let step = 0; step < 500; step++)
    feed(run, step % 5 === 0 ? "checkpoint.saved" : "training.log", { step });
  expect([...run.records.only(new Set(["checkpoint.saved"])).view()].slice(0, 3)).toEqual([0, 5, 10]);
  expect(run.records.count("training.log")).toBe(400);
});

test("events keep their data, whatever they have in common with the one before", () => {
  const run = new Run();
  const expected: string[] = [];
  for (let turn = 0; turn < 1000; turn++) {
    const same = `{"step":${turn >> 1},"loss":${turn % 3}}`;
    const data =
      turn % 70 === 0 ? "m".repeat(30_000 + turn) : turn % 11 === 0 ? same.slice(0, turn % 5) : same;
    feed(run, "training.log", data);
    expected.push(data);
  }
  expect(Array.from({ length: run.records.length }, (_, index) => run.records.entry(index).data)).toEqual(
    expected,
  );
});

test("a long history takes little memory", async () => {
  setFlagsFromString("--expose_gc");
  const gc = runInNewContext("gc") as () => void;
  // Buffers are freed by another thread, after the collection that found them.
  const collect = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const run = new Run();
  const parser = new SseParser({ event: (name, data) => run.add(name, data) });
  await collect();
  const before = process.memoryUsage().arrayBuffers;
  for (let step = 0; step < 150_000; step += 5000) {
    let text = "";
    for (let at = step; at < step + 5000; at++) {
      const time = new Date(1.7e12 + at * 1000).toISOString();
      const data = `{"type": "training.log", "jobId": "a1b2c3d4e5f6", "timestamp": "${time}", "step": ${at}, "loss": ${2 / (1 + at)}}`;
      text += `id: ${at + 1}\nevent: training.log\ndata: ${data}\n\n`;
    }
    const read = new TextEncoder().encode(text);
    parser.push(read.slice(0, -7)); // a read seldom ends where a frame does
    parser.push(read.slice(-7));
  }
  await collect();
  expect(run.rows.length).toBe(150_000);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(25e6);
});

test("an event's time is read where it is shown", () => {
  const run = new Run();
  feed(run, "training.log", { step: 1 });
  feed(run, "training.log", "no time");
  expect([run.records.entry(0).time, run.records.entry(1).time]).toEqual([
    Date.UTC(2026, 10, 25, 0, 0, 10),
    NaN,
  ]);
});

test("progress that repeats itself is one row, with the newest of it; every event is kept", () => {
  const run = new Run();
  feed(run, "training.message", { message: "begun" });
  for (let done = 0; done <= 100; done++) {
    feed(run, "model.progress", { label: "Converting a", done, total: 100 });
    feed(run, "model.progress", { label: "Fetching b", done, total: 100 });
  }
  feed(run, "training.started", {});
  feed(run, "model.progress", { label: "Converting a", done: 1, total: 100 });
  const { records } = run;
  const rows = Array.from(
    { length: records.rows },
    (_, row) => JSON.parse(records.entry(records.indexInRow(row)).data) as { label?: string; done?: number },
  );
  expect(rows.map(({ label, done }) => `${label ?? "–"} ${done ?? ""}`)).toEqual([
    "– ",
    "Converting a 100",
    "Fetching b 100",
    "– ",
    "Converting a 1",
  ]);
  expect(records.length).toBe(205);
  expect(records.count("model.progress")).toBe(3);
  expect([...records.only(new Set(["model.progress"])).view()]).toEqual([201, 202, 204]);
});

test("a run that goes on drops what came of later steps, and its end", () => {
  const run = new Run();
  const log = (from: number, to: number): void => {
    for (let step = from; step <= to; step++)
      feed(run, "training.log", { step, loss: 10 - step, timestamp: `2026-11-25T00:00:${10 + step}Z` });
  };
  feed(run, "training.started", { metadata: { totalSteps: 9 } });
  log(1, 4);
  feed(run, "checkpoint.saved", { step: 3 });
  feed(run, "training.log", { step: 4, evalLoss: 0.5 });
  feed(run, "checkpoint.saved", { step: 5 });
  feed(run, "training.message", { message: "stays" });
  feed(run, "training.failed", { error: "broke", step: 2 });
  feed(run, "end", {});
  expect([run.outcome, run.error, run.over]).toEqual(["failed", "broke", true]);
  const { generation } = run.rows;
  feed(run, "training.resumed", { step: 3, message: "the machine was restarted" });
  expect(run.rows.step.values()).toEqual([1, 2, 3]);
  expect(run.rows.generation).toBeGreaterThan(generation);
  expect([run.outcome, run.error, run.over, run.endedAt]).toEqual([null, null, false, NaN]);
  expect(run.resumed).toEqual({ step: 3, reason: "", message: "the machine was restarted" });
  expect([run.bestLoss, run.bestEvalLoss]).toEqual([{ value: 7, step: 3 }, null]);
  expect(run.checkpoints.map(({ step }) => step)).toEqual([3]);
  feed(run, "training.started", { metadata: { totalSteps: 9 } });
  log(4, 6);
  feed(run, "training.paused", { step: 6, reason: "asked" });
  expect(run.rows.step.values()).toEqual([1, 2, 3, 4, 5, 6]);
  expect(run.rows.restarts).toEqual([3]);
  expect(run.pause).toEqual({ step: 6, reason: "asked", message: "" });
  feed(run, "training.resumed", { step: 6 });
  expect([run.pause, run.rows.length, run.bestLoss]).toEqual([null, 6, { value: 4, step: 6 }]);
});

test("the log has every step once, and not the end that was taken back", () => {
  const run = new Run();
  feed(run, "training.message", { message: "stays" });
  feed(run, "training.log", { step: 1, loss: 1 });
  feed(run, "training.log", { step: 2, loss: 1 });
  feed(run, "training.started", {});
  feed(run, "checkpoint.removed", { step: 1 });
  feed(run, "model.progress", { label: "Saving", done: 1, total: 2 });
  feed(run, "training.message", { message: "comes again" });
  feed(run, "training.paused", { step: 2 });
  feed(run, "training.resumed", { step: 1 });
  feed(run, "model.progress", { label: "Saving", done: 2, total: 2 });
  feed(run, "training.log", { step: 2, loss: 2 });
  const entries = Array.from({ length: run.records.rows }, (_, row) =>
    run.records.entry(run.records.indexInRow(row)),
  );
  expect(entries.map(({ name }) => name)).toEqual([
    "training.message",
    "training.log",
    "training.started",
    "checkpoint.removed",
    "training.resumed",
    "model.progress",
    "training.log",
  ]);
  expect(JSON.parse(entries[6]!.data).loss).toBe(2);
  const counts = ["training.log", "training.paused", "training.message"].map((name) =>
    run.records.count(name),
  );
  expect(counts).toEqual([2, 0, 1]);
  expect(run.records.entry(2).name).toBe("");
  expect(run.records.only(new Set(["training.log"])).length).toBe(2);
});

test("what is said again at the end, or from the start, is in the log once", () => {
  const run = new Run();
  feed(run, "training.message", { message: "Computing in float32" });
  feed(run, "training.started", { timestamp: "2026-01-01T00:00:00Z" });
  feed(run, "training.log", { step: 1, loss: 1 });
  feed(run, "training.message", { message: "Kept is step 1" });
  feed(run, "evaluation.completed", {});
  feed(run, "training.resumed", { step: 1 });
  const names = () =>
    Array.from({ length: run.records.rows }, (_, row) => run.records.entry(run.records.indexInRow(row)).name);
  expect(names()).toEqual(["training.message", "training.started", "training.log", "training.resumed"]);
  feed(run, "training.resumed", { step: 0 });
  expect(names()).toEqual(["training.resumed"]);
  expect([run.rows.length, run.startedAt]).toEqual([0, NaN]);
});

test("the time between an end or a pause and the resume after it is idle", () => {
  const run = new Run();
  const at = (seconds: number) => new Date(1000 * seconds).toISOString();
  feed(run, "training.started", { timestamp: at(0) });
  feed(run, "training.log", { step: 1, loss: 1, timestamp: at(10) });
  feed(run, "training.paused", { step: 1, timestamp: at(20) });
  feed(run, "training.resumed", { step: 1, timestamp: at(50) });
  feed(run, "training.completed", { timestamp: at(60) });
  expect(run.idle).toBe(30_000);
  feed(run, "training.resumed", { step: 1, timestamp: at(1860) });
  feed(run, "training.resumed", { step: 1, timestamp: at(1870) });
  expect(run.idle).toBe(1_830_000);
  run.clear();
  expect(run.idle).toBe(0);
});

test("an invalid step drops nothing", () => {
  const run = new Run();
  feed(run, "training.log", { step: 1, loss: 1 });
  feed(run, "training.completed", {});
  feed(run, "training.resumed", { step: "2" });
  feed(run, "training.resumed", {});
  expect([run.outcome, run.rows.length, run.resumed]).toEqual(["completed", 1, null]);
});

test("figures of the machine are kept as they came, and are no line of the log", () => {
  const run = new Run();
  feed(run, "system.metrics", { step: 1, cpu: 0.5 });
  feed(run, "training.log", { step: 1, loss: 2 });
  feed(run, "system.metrics", "no JSON");
  expect(run.records.length).toBe(1);
  expect(run.records.rows).toBe(1);
  expect(
    run.samples.map((bytes) => new TextDecoder().decode(bytes)).map((text) => text.includes("cpu")),
  ).toEqual([true, false]);
  feed(run, "system.metrics", { step: 3, cpu: 0.75 });
  const before = run.samples;
  feed(run, "training.resumed", { step: 2 });
  expect(run.samples).toEqual(before.slice(0, 2));
  expect(run.samples).not.toBe(before);
  run.clear();
  expect(run.samples).toEqual([]);
});

test("a loss that runs away is marked until the run goes back", () => {
  const run = new Run();
  feed(run, "training.message", { message: "Computing in float32" });
  expect(run.rising).toBe("");
  feed(run, "training.message", { message: "The loss rises", code: "diverging", step: 40 });
  expect(run.rising).toBe("The loss rises");
  feed(run, "training.resumed", { step: 20 });
  expect(run.rising).toBe("");
});

test("answers to prompts are kept, and those of later steps go when the run goes on", () => {
  const run = new Run();
  for (const step of [0, 20, 40])
    for (const number of [1, 2]) feed(run, "sample.created", { step, number, prompt: "Q?", answer: "A" });
  feed(run, "sample.created", "no object");
  expect(run.answers.map(({ step }) => step)).toEqual([0, 0, 20, 20, 40, 40]);
  feed(run, "training.resumed", { step: 20 });
  expect(run.answers.map(({ step }) => step)).toEqual([0, 0, 20, 20]);
  run.clear();
  expect(run.answers).toEqual([]);
});

test("the time in each phase is summed, without the time of a pause", () => {
  const run = new Run();
  const at = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, "0")}Z`;
  const enter = (phase: string, second: number) =>
    feed(run, "training.phase", { phase, timestamp: at(second) });
  enter("loading", 0);
  enter("training", 4);
  enter("evaluating", 10);
  enter("evaluating", 11);
  enter("training", 12);
  feed(run, "training.paused", { step: 3, timestamp: at(15) });
  feed(run, "training.resumed", { step: 3, timestamp: at(40) });
  enter("training", 42);
  expect(run.phase).toEqual({ name: "training", since: Date.UTC(2026, 0, 1, 0, 0, 42) });
  feed(run, "training.completed", { timestamp: at(45) });
  expect([...run.phases]).toEqual([
    ["loading", 4000],
    ["training", 12_000],
    ["evaluating", 2000],
  ]);
  enter("saving", 50);
  enter("lost", 46);
  expect(run.phases.has("saving")).toBe(false);
  for (let number = 0; number < 100; number++) enter(`hostile ${number}`, 50);
  expect(run.phases.size).toBeLessThanOrEqual(20);
  run.clear();
  expect(run.phases.size).toBe(0);
});

test("a phase and the time left are no lines of the log, and end with the run", () => {
  const run = new Run();
  const timestamp = "2026-01-01T00:00:10Z";
  feed(run, "training.phase", { phase: "training", timestamp });
  feed(run, "training.log", { step: 1, loss: 2, timestamp: "2026-01-01T00:00:12Z", secondsLeft: 40.5 });
  expect(run.timeLeft).toEqual({ ms: 40_500, from: Date.UTC(2026, 0, 1, 0, 0, 12) });
  feed(run, "training.phase", { phase: "evaluating", timestamp: "2026-01-01T00:00:50Z", secondsLeft: 5 });
  feed(run, "training.phase", { phase: "evaluating", timestamp: "2026-01-01T00:00:53Z", secondsLeft: 9 });
  expect(run.phase).toEqual({ name: "evaluating", since: Date.UTC(2026, 0, 1, 0, 0, 50) });
  expect(run.timeLeft).toEqual({ ms: 9000, from: Date.UTC(2026, 0, 1, 0, 0, 53) });
  expect(run.records.length).toBe(1);
  feed(run, "training.completed", { timestamp });
  expect([run.phase, run.timeLeft]).toEqual([null, null]);
});
