/** User actions in the playground: ask, stop, ask again, edit, compare. */
import { computed, signal } from "@preact/signals";
import { ApiError, errorText, isAbort, request } from "../api/client";
import { project } from "../store/credentials";
import { features } from "../store/features";
import { jobById, jobs } from "../store/jobs";
import { announce } from "../ui/controls/live";
import { LiveAnswer } from "./live-answer";
import { addTurn, setAnswer } from "./model/tree";
import type { Answer, Conversation, Turn } from "./model/types";
import { sentOf } from "./more";
import { chatRequest, messagesFor } from "./request";
import {
  allSaved,
  changeById,
  changeCurrent,
  current,
  newId,
  nextConversation,
} from "./storage/conversations";
import { whileAnswering } from "./storage/tabs";
import { type Outcome, readAnswer } from "./stream";
import { answerable } from "./strength";
import { fullName } from "./targets";

interface Running {
  conversation: string;
  column: number;
  name: string;
  live: LiveAnswer;
  abort: AbortController;
}

const running = signal<ReadonlyMap<string, Running>>(new Map());

const keyOf = (conversation: string, turn: string, column: number): string =>
  `${conversation}/${turn}/${column}`;

/** The streaming answer, or undefined when there is none. */
export function liveAnswer(turnId: string, column: number): LiveAnswer | undefined {
  return running.value.get(keyOf(current.value.id, turnId, column))?.live;
}

/** Whether the open conversation is being answered. */
export const busy = computed(() =>
  [...running.value.values()].some((answer) => answer.conversation === current.value.id),
);

function setRunning(key: string, value: Running | null): void {
  const next = new Map(running.peek());
  if (value) next.set(key, value);
  else next.delete(key);
  running.value = next;
}

/** Asks the question in every column. */
export function send(user: string): void {
  ask(current.peek(), { id: newId(), parent: current.peek().leaf, user, answers: [], at: Date.now() });
}

/** Asks the edited question, as a new branch. */
export function resend(turn: Turn, user: string): void {
  ask(current.peek(), { id: newId(), parent: turn.parent, user, answers: [], at: Date.now() });
}

/** Asks again in one column, as a branch, optionally with the exact engine; the other column keeps its answer. */
export function regenerate(turn: Turn, column: number, exact?: boolean): void {
  const answers = turn.answers.map((answer, other) => (other === column ? null : answer));
  const again: Turn = { id: newId(), parent: turn.parent, user: turn.user, answers, at: Date.now() };
  changeCurrent(addTurn(current.peek(), again));
  void answer(again.id, column, exact);
}

/** Asks a column that has no answer to keep: it was added after the question, or its answer failed. */
export function askColumn(turn: Turn, column: number): void {
  void answer(turn.id, column);
}

/** Stops the streaming answers of a conversation, or of one of its columns. */
export function stop(id: string = current.peek().id, only?: number): void {
  for (const { conversation, column, abort } of running.peek().values()) {
    if (conversation === id && (only === undefined || only === column)) abort.abort();
  }
}

/** A new conversation with the same targets and settings; an empty one counts as new already. */
export function startNew(): void {
  if (current.peek().leaf !== null) current.value = nextConversation();
}

function ask(conversation: Conversation, turn: Turn): void {
  changeCurrent(addTurn({ ...conversation, project: conversation.project ?? project.peek() }, turn));
  for (const column of conversation.columns) void answer(turn.id, column);
}

async function answer(turnId: string, column: number, exact = false): Promise<void> {
  const { id, targets, params, system, more: set } = current.peek();
  const chosen = targets[column];
  const key = keyOf(id, turnId, column);
  if (!chosen || running.peek().has(key)) return;
  const target = answerable(chosen, features.peek(), jobs.peek());
  const more = sentOf(set, features.peek());
  const body = chatRequest(messagesFor(current.peek(), turnId, column), target, params, more);
  if (exact) body.engine = "exact";
  const begun: Answer = {
    by: target,
    name: fullName(target, jobs.peek()),
    text: "",
    state: "streaming",
    asked: { params, system, ...(Object.keys(more).length > 0 && { more }) },
  };
  // The list of jobs may arrive after the question, and may have lost the job by the end.
  const named = (): string =>
    target.kind !== "base" && jobById(target.jobId) ? fullName(target, jobs.peek()) : begun.name;
  const record = (next: Answer): void =>
    changeById(id, (conversation) => setAnswer(conversation, turnId, column, next));
  let savedAt = Date.now();
  const live = new LiveAnswer((text) => {
    // The text so far survives a reload; writing it at each token would cost more than drawing it.
    if (Date.now() - savedAt < 3000 || !running.peek().has(key)) return;
    savedAt = Date.now();
    record({ ...begun, text });
  });
  const abort = new AbortController();
  setRunning(key, { conversation: id, column, name: begun.name, live, abort });
  record(begun);
  announce(waitingText(id));
  await whileAnswering(id, async () => {
    const { status, ...outcome } = await outcomeOf(body, abort.signal, live);
    record({
      ...begun,
      name: named(),
      text: live.finish(),
      ...outcome,
      ...(status === undefined ? {} : { status }),
    });
    setRunning(key, null);
    announce(announcement(begun.name, outcome));
    // A tab that waits for the end reads it from storage.
    await allSaved();
  });
}

async function outcomeOf(
  body: unknown,
  signal: AbortSignal,
  live: LiveAnswer,
): Promise<Outcome & { status?: number }> {
  const startedAt = performance.now();
  try {
    return await readAnswer(
      await request("/inference/chat", { method: "POST", body, signal }),
      startedAt,
      live,
    );
  } catch (error) {
    if (isAbort(error)) return { state: "stopped" };
    return {
      state: "failed",
      error: errorText(error),
      ...(error instanceof ApiError ? { status: error.status } : {}),
    };
  }
}

/** Announces all current answers in one sentence, since the next announcement replaces the last one. */
function waitingText(id: string): string {
  const names = [...running.peek().values()].flatMap((answer) =>
    answer.conversation === id ? answer.name : [],
  );
  return `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} answering`;
}

function announcement(name: string, { state, error }: Outcome): string {
  if (state === "done") return `${name} has answered`;
  return state === "stopped" ? "Stopped" : `${name}: ${error ?? "the answer was cut"}`;
}
