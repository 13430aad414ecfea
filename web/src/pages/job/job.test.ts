import { expect, test } from "vitest";
import type { Artifact, Job } from "../../contract.gen";
import { Run } from "../../events/run";
import { chosenOf, finalOf } from "./checkpoints";
import { eventText } from "./details/event-text";
import { jobTimeLeft, lastFinite, phaseWords, recentMean, recentSpeed, timeLeft } from "./progress/pace";
import { isActive, originOf, ranFor, statusOf, stepsOf } from "./state";

const START = Date.UTC(2026, 0, 1);

function feed(run: Run, name: string, data: object | string): void {
  run.add(name, typeof data === "string" ? data : JSON.stringify(data));
}

function runOf(steps: number, secondsPerStep: (step: number) => number): Run {
  const run = new Run();
  let at = START;
  for (let step = 1; step <= steps; step++) {
    at += secondsPerStep(step) * 1000;
    feed(run, "training.log", {
      step,
      loss: 1,
      tokensPerSecond: 100 + step,
      timestamp: new Date(at).toISOString(),
    });
  }
  return run;
}

const job = (change: Partial<Job>): Job =>
  ({
    id: "j",
    orgId: "o",
    projectId: "p",
    name: "n",
    status: "running",
    createdAt: "",
    config: { model: "m", datasetSource: { type: "file" } },
    ...change,
  }) as Job;

test("time left follows the recent speed, and counts down between steps", () => {
  const run = runOf(100, (step) => (step <= 50 ? 10 : 2));
  const last = run.rows.time.last();
  expect(recentSpeed(run.rows)).toBeCloseTo(1 / 2000, 12);
  expect(timeLeft(run.rows, 130, last)).toEqual({ ms: 60_000 });
  expect(timeLeft(run.rows, 130, last + 1500)).toEqual({ ms: 58_500 });
  expect(timeLeft(run.rows, 100, last)).toEqual({ ms: 0 });
});

test("a pause of the machine does not make the run look slow; evaluations do count", () => {
  const paused = runOf(30, (step) => (step === 20 ? 36_000 : 2));
  expect(1 / recentSpeed(paused.rows)!).toBeLessThan(3000);
  const evaluated = runOf(30, (step) => (step % 5 === 0 ? 12 : 2));
  expect(1 / recentSpeed(evaluated.rows)!).toBeGreaterThan(3500);
});

test("time left is honest where it cannot be known", () => {
  expect(timeLeft(new Run().rows, 60, START)).toEqual({ why: "no step yet" });
  expect(timeLeft(runOf(1, () => 2).rows, 60, START + 2000)).toEqual({ why: "known after the second step" });
  expect(timeLeft(runOf(9, () => 2).rows, null, START)).toEqual({ why: "number of steps unknown" });
  const run = runOf(9, () => 2);
  expect(timeLeft(run.rows, 60, run.rows.time.last() + 45_000)).toMatchObject({ why: "no step for 45 s" });
  const slow = runOf(9, () => 60);
  expect(timeLeft(slow.rows, 10, slow.rows.time.last() + 45_000)).toEqual({ ms: 15_000 });
});

test("a clock that is behind the backend's makes no time out of nothing", () => {
  const run = runOf(9, () => 2);
  expect(timeLeft(run.rows, 14, run.rows.time.last() - 3_600_000)).toEqual({ ms: 10_000 });
});

test("a backend whose clock is behind does not look silent while its steps come", () => {
  const run = runOf(9, () => 2);
  const now = run.rows.time.last() + 300_000;
  expect(timeLeft(run.rows, 60, now - run.behind)).toMatchObject({ why: "no step for 5 min 00 s" });
  run.heard(now + 900);
  run.heard(now);
  run.heard(now + 5000);
  expect(timeLeft(run.rows, 14, now - run.behind)).toEqual({ ms: 10_000 });
  expect(timeLeft(run.rows, 14, now + 40_000 - run.behind)).toMatchObject({ why: "no step for 40 s" });
});

test("rows without times or at one instant say nothing of speed", () => {
  const run = new Run();
  for (let step = 1; step < 5; step++) feed(run, "training.log", { step, loss: 1 });
  expect(recentSpeed(run.rows)).toBeNull();
  expect(recentSpeed(runOf(5, () => 0).rows)).toBeNull();
});

test("the last and the mean skip non-numbers", () => {
  const run = runOf(20, () => 1);
  feed(run, "training.log", { step: 21, loss: null, tokensPerSecond: null });
  expect([lastFinite(run.rows.loss), lastFinite(run.rows.evalLoss)]).toEqual([1, NaN]);
  expect(recentMean(run.rows.tokensPerSecond, 4)).toBe(118.5);
  expect(recentMean(new Run().rows.tokensPerSecond)).toBeNaN();
});

test("events are quicker than the list, which knows the rest", () => {
  const run = new Run();
  expect(statusOf(undefined, run)).toBe("queued");
  expect(statusOf(job({ status: "failed" }), run)).toBe("failed");
  feed(run, "training.started", { timestamp: "2026-01-01T00:00:00Z", metadata: { totalSteps: 60 } });
  expect(statusOf(job({ status: "queued" }), run)).toBe("running");
  expect(stepsOf(job({ config: { ...job({}).config, maxSteps: 99 }, metrics: { step: 7 } }), run)).toEqual({
    step: 7,
    total: 60,
  });
  expect(stepsOf(undefined, new Run())).toEqual({ step: null, total: null });
  expect(originOf(undefined, run)).toBe(START);
  expect(ranFor(job({}), run, START + 5000)).toBe(5000);
  feed(run, "training.cancelled", { timestamp: "2026-01-01T00:01:00Z", step: 3 });
  expect(statusOf(job({ status: "running" }), run)).toBe("cancelled");
  expect(ranFor(undefined, run, START + 5_000_000)).toBe(60_000);
  expect(ranFor(undefined, new Run(), START)).toBeNull();
  // The time until it is extended does not count.
  feed(run, "training.resumed", { timestamp: "2026-01-01T00:31:00Z", step: 3 });
  expect(ranFor(undefined, run, START + 32 * 60_000)).toBe(120_000);
});

test("each event is told in a line of words", () => {
  const run = new Run();
  const words = (name: string, data: object | string): string => {
    feed(run, name, data);
    return eventText(run.records.entry(run.records.length - 1));
  };
  expect(
    words("training.log", {
      step: 1200,
      loss: 0.43211,
      learningRate: 2e-4,
      epoch: 0.5,
      tokensPerSecond: 411.7,
    }),
  ).toBe("step 1,200 · loss 0.4321 · lr 0.0002 · epoch 0.50 · 412 tokens/s");
  expect(words("training.log", { step: 3, loss: null })).toBe("step 3 · loss not a number");
  expect(words("training.log", '{"step":4,"loss":1e309}')).toBe("step 4 · loss not a number");
  const evaluation = { sentence: "Better at your task.", general: {} };
  expect(words("evaluation.completed", { evaluation })).toBe("Better at your task.");
  const answers = { sentence: "Its 8 sampled answers have 20 tokens on average." };
  expect(words("evaluation.completed", { evaluation: { ...evaluation, general: { answers } } })).toBe(
    "Better at your task. · Its 8 sampled answers have 20 tokens on average.",
  );
  expect(words("training.started", { metadata: { totalSteps: 1, device: "cpu" } })).toBe("1 step · cpu");
  expect(
    words("checkpoint.saved", { step: 20, artifacts: [{ kind: "checkpoint", bytes: 3_700_000 }, 7] }),
  ).toBe("step 20 · checkpoint 3.7 MB");
  expect(words("training.failed", { error: "out of\nmemory", step: 9 })).toBe("out of memory · step 9");
  expect(words("training.failed", { error: { code: 1 } })).toBe('{"code":1}');
  expect(words("training.log", { step: 5, loss: 1, evalLoss: null, learningRate: null, epoch: null })).toBe(
    "step 5 · loss 1.000",
  );
  expect(words("training.log", { step: 6, loss: null, evalLoss: 2, samplesPerSecond: 12.5 })).toBe(
    "step 6 · eval loss 2.000 · 12.5 samples/s",
  );
  expect([words("training.started", {}), words("training.completed", { artifacts: [] })]).toEqual([
    "started",
    "completed",
  ]);
  // By the managed backend's names.
  const managed = { finalLoss: 0.5, totalSteps: 9, totalTime: 61.4 };
  expect(words("training.completed", { metrics: managed })).toBe("9 steps · loss 0.5000 · 61 s");
  expect(words("training.failed", { error: null, step: 9 })).toBe("no reason given · step 9");
  expect(words("model.progress", { label: "Fetching", done: 5, total: 9 })).toBe("Fetching · 55 %");
  expect(words("odd.event", { a: 1 })).toBe('{"a":1}');
  expect(words("training.log", "not { json")).toBe("not { json");
});

test("a method that is judged by a figure of its own is told by it, and not by its loss", () => {
  const run = new Run();
  const reward = { name: "reward", label: "Mean reward" };
  const words = (name: string, data: object): string => {
    feed(run, name, data);
    return eventText(run.records.entry(run.records.length - 1), run.judged);
  };
  words("training.started", { metadata: { measure: reward, figures: [reward] } });
  expect(words("training.log", { step: 3, loss: 0.02, reward: 0.5, learningRate: 2e-4 })).toBe(
    "step 3 · mean reward 0.5000 · lr 0.0002",
  );
  expect(words("training.log", { step: 3, evalReward: 0.25 })).toBe("step 3 · eval mean reward 0.2500");
  expect(words("training.completed", { metrics: { steps: 3, loss: 0.02 } })).toBe("3 steps");
});

test("the artifacts of a result have names for a person", () => {
  const names = [
    { kind: "adapter", name: "final", bytes: 1 },
    { kind: "adapter", bytes: 1 },
    { kind: "checkpoint", name: "best", step: 20, bytes: 1 },
  ].map((artifact) => finalOf("job", artifact as Artifact).name);
  expect(names).toEqual(["Final adapter", "Final adapter", "Best (step 20)"]);
});

test("hostile text loses its controls and stays short", () => {
  const run = new Run();
  feed(run, "training.message", {
    message: `\u001b[31mred\u001b]0;title\u0007 \u202egnirts <img src=x> ${"y".repeat(10_000_000)}`,
  });
  feed(run, "odd.event", `\u001b[2J\u202e${"z".repeat(1000)}`);
  const [first, second] = [0, 1].map((index) => eventText(run.records.entry(index)));
  for (const words of [first!, second!]) {
    expect(words.length).toBeLessThan(500);
    expect(words).not.toMatch(/[\u0000-\u001f\u202a-\u202e]/);
  }
  expect(first).toContain("(10.0 MB)");
});

test("a pause and what follows it are told by whichever of list and events knows it first", () => {
  const run = runOf(3, () => 1);
  expect(statusOf(job({ status: "paused" }), run)).toBe("paused");
  feed(run, "training.paused", { step: 3, reason: "asked" });
  expect(statusOf(job({ status: "running" }), run)).toBe("paused");
  expect(statusOf(job({ status: "queued" }), run)).toBe("queued");
  expect(statusOf(job({ status: "cancelled" }), run)).toBe("cancelled");
  feed(run, "training.resumed", { step: 3 });
  expect(statusOf(job({ status: "queued" }), run)).toBe("running");
  expect(statusOf(job({ status: "paused" }), run)).toBe("running");
  feed(run, "training.failed", { error: "e" });
  expect(statusOf(job({ status: "running" }), run)).toBe("failed");
  expect(statusOf(job({ status: "queued" }), run)).toBe("queued");
});

test("a job that goes on after its end is what the list says until its events go on, too", () => {
  const run = runOf(3, () => 1);
  const end = (minute: number): void =>
    feed(run, "training.completed", { timestamp: new Date(START + minute * 60_000).toISOString() });
  end(1);
  expect(statusOf(job({ status: "running" }), run)).toBe("completed");
  run.withdrawEnd();
  expect(statusOf(job({ status: "running" }), run)).toBe("running");
  expect(statusOf(job({ status: "queued" }), run)).toBe("queued");
  feed(run, "model.progress", { label: "Loading", done: 1, total: 2 });
  expect(statusOf(job({ status: "running" }), run)).toBe("running");
  // The history is read again, and still ends with the end.
  run.clear();
  end(1);
  expect(statusOf(job({ status: "running" }), run)).toBe("running");
  end(2);
  expect(statusOf(job({ status: "running" }), run)).toBe("completed");
});

test("a job that was cancelled before its first step does not wait, whatever the list says", () => {
  const run = new Run();
  feed(run, "training.cancelled", {});
  expect(statusOf(job({ status: "queued" }), run)).toBe("cancelled");
});

test("a cancelled job of the managed backend, whose event says that it failed, has not failed", () => {
  const run = new Run();
  feed(run, "training.failed", { error: "Job cancelled", step: 3 });
  expect([statusOf(job({ status: "running" }), run), run.error]).toEqual(["cancelled", null]);
  const other = new Run();
  feed(other, "training.failed", { error: "stopped by a person" });
  expect(statusOf(job({ status: "running" }), other)).toBe("failed");
  expect(statusOf(job({ status: "cancelled" }), other)).toBe("cancelled");
});

test("a job that no list has is what its stream says, and is over when that is", () => {
  const run = runOf(3, () => 1);
  expect(statusOf(undefined, run)).toBe("running");
  feed(run, "training.completed", {});
  expect(statusOf(undefined, run)).toBe("completed");
  const untold = new Run();
  feed(untold, "end", {});
  const status = statusOf(undefined, untold);
  expect([status, isActive(status)]).toEqual(["ended", false]);
});

test("the time that a run stood is no silence", () => {
  const run = runOf(30, () => 2);
  const hour = run.rows.time.last() + 3_600_000;
  expect(timeLeft(run.rows, 60, hour)).toMatchObject({ why: "no step for 1 h 00 min" });
  feed(run, "training.resumed", { step: 30, timestamp: new Date(hour - 1000).toISOString() });
  expect(timeLeft(run.rows, 60, hour)).toEqual({ ms: 59_000 });
});

test("pauses are told in words", () => {
  const entry = (name: string, data: object) => {
    const run = new Run();
    feed(run, name, data);
    return eventText(run.records.entry(0));
  };
  expect(entry("training.paused", { step: 1200, reason: "disk", message: "1 GB is free" })).toBe(
    "step 1,200 · 1 GB is free",
  );
  expect(entry("training.paused", { step: 3, reason: "asked" })).toBe("step 3 · asked");
  expect(entry("training.resumed", { step: 3, message: "\u001b[31mcrash" })).toMatch(/^after step 3 · /);
});

test("the backend's estimate of the whole job counts, and the phase has words", () => {
  const run = runOf(9, () => 2);
  const last = run.rows.time.last();
  const enter = (phase: string, more = {}) =>
    feed(run, "training.phase", { phase, timestamp: new Date(last).toISOString(), ...more });
  expect([jobTimeLeft(run, 14, last), phaseWords(run)]).toEqual([{ ms: 10_000 }, "Training"]);
  enter("evaluating");
  expect(jobTimeLeft(run, 9, last + 45_000)).toEqual({ why: "not known after the last step" });
  enter("training", { secondsLeft: 42 });
  expect(jobTimeLeft(run, 14, last + 2000)).toEqual({ ms: 40_000 });
  expect(jobTimeLeft(run, 14, last + 45_000)).toMatchObject({ why: "no step for 45 s" });
  enter("evaluating", { secondsLeft: 30 });
  expect([jobTimeLeft(run, 9, last + 25_000), phaseWords(run)]).toEqual([{ ms: 5000 }, "Evaluating"]);
  expect(jobTimeLeft(run, 9, last + 40_000)).toEqual({ ms: 0 });
  expect(jobTimeLeft(run, 9, last + 60_000)).toEqual({ why: "longer than estimated" });
  enter("a phase\u202e of tomorrow");
  expect(phaseWords(run)).toBe("a phase of tomorrow");
});

test("a result that a forgetting budget chose says of which step and strength it is", () => {
  expect(chosenOf({ step: 18, strength: 0.6 })).toBe("step 18, 60 % strength");
  expect(chosenOf({ step: 9, strength: 1 })).toBe("step 9");
  expect(chosenOf({ strength: 0.6 })).toBe("60 % strength");
  for (const none of [undefined, {}, { strength: 1 }, { step: "9", strength: null }])
    expect(chosenOf(none)).toBe(null);
});
