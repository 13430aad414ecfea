import { describe, expect, it } from "vitest";
import { chatRequest, messagesFor } from "../request";
import { sameTarget } from "../targets";
import { trainingLine, trainingSet } from "../training-set";
import {
  addTurn,
  answerFor,
  branch,
  setAnswer,
  shownTargets,
  showTargets,
  showVersion,
  titleOf,
  versions,
} from "./tree";
import type { Answer, AnswerState, Conversation, Target } from "./types";

const base: Target = { kind: "base", model: "m" };
const adapter: Target = { kind: "final", jobId: "j1" };

const answer = (text: string, state: AnswerState = "done", more: Partial<Answer> = {}): Answer => ({
  by: base,
  name: "m",
  text,
  state,
  ...more,
});

function conversation(system = ""): Conversation {
  return {
    id: "c",
    created: 0,
    updated: 0,
    system,
    params: { temperature: 0.7, topP: 0.9, maxTokens: 64 },
    targets: [base],
    columns: [0],
    turns: {},
    leaf: null,
  };
}

function grow(
  start: Conversation,
  ...turns: [id: string, parent: string | null, user: string, ...answers: (Answer | null)[]][]
) {
  return turns.reduce(
    (c, [id, parent, user, ...answers], n) =>
      addTurn(c, { id, parent, user, answers, at: start.updated + n + 1 }),
    start,
  );
}

const ids = (c: Conversation) => branch(c).map((turn) => turn.id);

describe("the tree", () => {
  const c = grow(
    conversation(),
    ["a", null, "one", answer("1")],
    ["b", "a", "two", answer("2")],
    ["b2", "a", "two, edited", answer("2'")],
    ["c2", "b2", "three", answer("3'")],
  );

  it("shows the newest branch", () => {
    expect(ids(c)).toEqual(["a", "b2", "c2"]);
  });

  it("goes back to a branch and forth to its newest turn", () => {
    const turn = c.turns.b2!;
    expect(versions(c, turn).map((other) => other.id)).toEqual(["b", "b2"]);
    const back = showVersion(c, turn, -1);
    expect(ids(back)).toEqual(["a", "b"]);
    expect(ids(showVersion(back, back.turns.b!, 1))).toEqual(["a", "b2", "c2"]);
  });

  it("stays at the ends", () => {
    expect(ids(showVersion(c, c.turns.b2!, 1))).toEqual(["a", "b2", "c2"]);
    expect(showVersion(c, c.turns.b!, -1).leaf).toBe("b");
  });

  it("ends on a stored tree that loops or lacks a parent", () => {
    const looped = { ...c, turns: { ...c.turns, a: { ...c.turns.a!, parent: "c2" } } };
    expect(ids(looped)).toHaveLength(3);
    expect(showVersion(looped, looped.turns.a!, 0).leaf).not.toBeNull();
    expect(branch({ ...c, leaf: "gone" })).toEqual([]);
  });

  it("fills a column without touching the old conversation", () => {
    const next = setAnswer(c, "b", 1, answer("other"));
    expect(next.turns.b!.answers.map((answer) => answer?.text)).toEqual(["2", "other"]);
    expect(c.turns.b!.answers).toHaveLength(1);
    expect(setAnswer(c, "nope", 0, answer("x"))).toBe(c);
  });

  it("takes its title from the first line", () => {
    expect(titleOf(conversation())).toBe("New conversation");
    expect(titleOf(grow(conversation(), ["a", null, `  ${"x".repeat(90)}\nmore`]))).toBe(
      `${"x".repeat(79)}…`,
    );
  });
});

describe("messagesFor", () => {
  const c = grow(
    conversation("Be brief."),
    ["a", null, "one", answer("base 1"), answer("adapter 1")],
    ["b", "a", "two", answer("base 2")],
    ["refused", "b", "far too long", answer("", "failed")],
    ["c", "refused", "three", answer("", "stopped")],
    ["d", "c", "four"],
  );
  const contents = (column: number) => messagesFor(c, "d", column).map((m) => `${m.role}: ${m.content}`);

  it("gives each column its own answers, and the other's where it has none", () => {
    expect(contents(1)).toEqual([
      "system: Be brief.",
      "user: one",
      "assistant: adapter 1",
      "user: two",
      "assistant: base 2",
      "user: three\n\nfour",
    ]);
    expect(contents(0)[2]).toBe("assistant: base 1");
  });

  it("leaves out the turn's own answer when it is asked again", () => {
    expect(messagesFor(c, "b", 0).at(-1)).toEqual({ role: "user", content: "two" });
  });

  it("sends no empty system prompt", () => {
    expect(messagesFor({ ...c, system: " \n" }, "a", 0)).toEqual([{ role: "user", content: "one" }]);
  });

  it("prefers text over a failure", () => {
    expect(answerFor(c.turns.c!, 0)).toBeNull();
    expect(answerFor(c.turns.b!, 1)?.text).toBe("base 2");
  });
});

describe("chatRequest", () => {
  const params = { temperature: 0, topP: 1, maxTokens: 5 };
  it("names the base model or the adapter, never both", () => {
    expect(chatRequest([], base, params)).toEqual({
      messages: [],
      baseModel: "m",
      temperature: 0,
      topP: 1,
      maxTokens: 5,
      stream: true,
    });
    expect(chatRequest([], adapter, params).adapter).toEqual({ kind: "final", jobId: "j1" });
    const checkpoint = chatRequest([], { kind: "checkpoint", jobId: "j1", step: 20 }, params);
    expect(checkpoint.adapter).toEqual({ kind: "checkpoint", jobId: "j1", step: 20 });
    expect(checkpoint).not.toHaveProperty("baseModel");
  });
});

describe("the training set", () => {
  it("ends at the last whole answer and skips turns without text", () => {
    const c = grow(
      conversation("S"),
      ["a", null, "one", answer("1")],
      ["b", "a", "two", answer("", "failed")],
      ["c", "b", "three", answer("3")],
      ["d", "c", "four", answer("fo", "stopped")],
    );
    expect(JSON.parse(trainingLine(c, 0)!)).toEqual({
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: "one" },
        { role: "assistant", content: "1" },
        { role: "user", content: "three" },
        { role: "assistant", content: "3" },
      ],
    });
    expect(trainingLine(c, 1)).toBeNull();
  });

  it("does not teach answers whose tokens ran out", () => {
    expect(
      trainingLine(
        grow(conversation(), ["a", null, "q", answer("so then", "done", { finish: "length" })]),
        0,
      ),
    ).toBeNull();
  });

  it("says how much of the adapter each answer was given by", () => {
    const c = grow(
      conversation(),
      ["a", null, "one", answer("1", "done", { by: { ...adapter, strength: 0.5 } })],
      ["b", "a", "two", answer("2", "done", { by: adapter })],
      ["c", "b", "three", answer("3", "stopped", { by: { ...adapter, strength: 0.2 } })],
    );
    expect(JSON.parse(trainingLine(c, 0)!).adapterStrengths).toEqual([0.5, 1]);
  });

  it("writes a line a column, none twice", () => {
    const c = {
      ...grow(conversation(), ["a", null, "q", answer("x"), answer("y")]),
      targets: [base, adapter],
      columns: [0, 1],
    };
    const lines = trainingSet([c, conversation(), c]).split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[2]).toBe("");
    expect(trainingSet([])).toBe("");
  });
});

describe("columns", () => {
  const one = { ...conversation(), targets: [adapter] };

  it("opens the base on the left without moving the adapter's answers", () => {
    const two = showTargets(one, [base, adapter], sameTarget);
    expect(two.targets).toEqual([adapter, base]);
    expect(two.columns).toEqual([1, 0]);
    expect(shownTargets(two)).toEqual([base, adapter]);
  });

  it("keeps a closed column's target, and finds it again", () => {
    const two = showTargets(one, [base, adapter], sameTarget);
    const remaining = showTargets(two, [base], sameTarget);
    expect(remaining.columns).toEqual([1]);
    expect(remaining.targets).toEqual([adapter, base]);
    expect(showTargets(remaining, [base, adapter], sameTarget).columns).toEqual([1, 0]);
  });

  it("shows the same target twice", () => {
    const twice = showTargets(one, [adapter, adapter], sameTarget);
    expect(twice.targets).toEqual([adapter, adapter]);
    expect(new Set(twice.columns).size).toBe(2);
  });

  it("starts with nobody", () => {
    expect(shownTargets({ ...conversation(), targets: [] })).toEqual([]);
    expect(showTargets({ ...conversation(), targets: [] }, [base], sameTarget)).toMatchObject({
      targets: [base],
      columns: [0],
    });
  });
});
