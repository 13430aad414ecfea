/**
 * The tree of a conversation. Editing a question or asking again creates a sibling of its turn, so that no branch is
 * ever lost; `leaf` says which one is shown. Pure functions: old conversation in, new one out.
 */
import type { Answer, AnswerState, Conversation, Target, Turn } from "./types";

/** The turns from the first to `leaf`, oldest first. */
export function branch(conversation: Conversation, leaf: string | null = conversation.leaf): Turn[] {
  const turns: Turn[] = [];
  const seen = new Set<string>();
  for (let id = leaf; id !== null && !seen.has(id); ) {
    const turn: Turn | undefined = conversation.turns[id];
    if (!turn) break;
    seen.add(id);
    turns.push(turn);
    id = turn.parent;
  }
  return turns.reverse();
}

/** The turns that share a parent, in the order they were made. */
export function versions(conversation: Conversation, turn: Turn): Turn[] {
  return childrenOf(conversation, turn.parent);
}

function childrenOf(conversation: Conversation, parent: string | null): Turn[] {
  return Object.values(conversation.turns)
    .filter((turn) => turn.parent === parent)
    .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
}

/** Appends a turn below `parent` and shows its branch. */
export function addTurn(conversation: Conversation, turn: Turn): Conversation {
  return {
    ...conversation,
    updated: turn.at,
    turns: { ...conversation.turns, [turn.id]: turn },
    leaf: turn.id,
  };
}

export function setAnswer(
  conversation: Conversation,
  turnId: string,
  column: number,
  answer: Answer,
): Conversation {
  const turn = conversation.turns[turnId];
  if (!turn) return conversation;
  const answers = [...turn.answers];
  while (answers.length <= column) answers.push(null);
  answers[column] = answer;
  return { ...conversation, turns: { ...conversation.turns, [turnId]: { ...turn, answers } } };
}

/** Shows the version `by` positions from `turn`, down to its newest descendant. */
export function showVersion(conversation: Conversation, turn: Turn, by: number): Conversation {
  const all = versions(conversation, turn);
  const at = all.findIndex((other) => other.id === turn.id);
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  return next ? { ...conversation, leaf: newestBelow(conversation, next.id) } : conversation;
}

function newestBelow(conversation: Conversation, id: string): string {
  const seen = new Set<string>();
  for (let last = id; ; ) {
    seen.add(last);
    const next = childrenOf(conversation, last).at(-1);
    if (!next || seen.has(next.id)) return last;
    last = next.id;
  }
}

/** Whether a later turn can build on the answer. */
export const hasText = (answer: Answer | null | undefined): answer is Answer =>
  answer !== null && answer !== undefined && answer.text !== "";

/** The answer that a column's later turns build on: its own, else the other column's. */
export function answerFor(turn: Turn, column: number): Answer | null {
  const own = turn.answers[column];
  if (hasText(own)) return own;
  return turn.answers.find(hasText) ?? null;
}

/** Whether no column has an answer with text, and one was refused. */
export const hasFailed = (turn: Turn): boolean =>
  !turn.answers.some(hasText) && turn.answers.some((answer) => answer?.state === "failed" && !answer.calls);

const RANK: Readonly<Record<AnswerState, number>> = {
  done: 3,
  full: 3,
  stopped: 2,
  failed: 1,
  cut: 1,
  streaming: 0,
};

/**
 * The more informative of two records of one answer: a finished one over a partial one, a success over a failure, then
 * the longer text.
 */
function moreComplete(mine: Answer | null | undefined, other: Answer | null | undefined): Answer | null {
  if (!mine || !other) return mine ?? other ?? null;
  return (RANK[mine.state] - RANK[other.state] || mine.text.length - other.text.length) < 0 ? other : mine;
}

/** A conversation merged with the turns and answers that another tab has stored of it. */
export function mergeStored(mine: Conversation, stored: Conversation | undefined): Conversation {
  if (!stored) return mine;
  const turns = { ...stored.turns, ...mine.turns };
  for (const [id, { answers }] of Object.entries(stored.turns)) {
    const own = mine.turns[id];
    if (!own) continue;
    const columns = Math.max(own.answers.length, answers.length);
    turns[id] = {
      ...own,
      answers: Array.from({ length: columns }, (_, column) =>
        moreComplete(own.answers[column], answers[column]),
      ),
    };
  }
  return { ...mine, turns };
}

/** A name for the list: the first line of the first question, cut at `limit` characters. */
export function titleOf(conversation: Conversation, limit = 80): string {
  const first = branch(conversation)[0] ?? Object.values(conversation.turns)[0];
  const line = first?.user.trim().split("\n", 1)[0]?.trim() ?? "";
  return line === "" ? "New conversation" : line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}

/** A new conversation has a column for each of its targets; an empty one until a target is chosen. */
export const columnsOf = (targets: readonly Target[]): number[] => (targets.length > 1 ? [0, 1] : [0]);

/** The targets that are shown, from left to right. */
export const shownTargets = (conversation: Conversation): Target[] =>
  conversation.columns.flatMap((column) => conversation.targets[column] ?? []);

export function setTarget(conversation: Conversation, column: number, target: Target): Conversation {
  const targets = [...conversation.targets];
  targets[column] = target;
  return { ...conversation, targets };
}

/** Shows `targets`, each in its existing column or in an unused one. */
export function showTargets(
  conversation: Conversation,
  targets: readonly Target[],
  same: (a: Target, b: Target) => boolean,
): Conversation {
  const places = targets.map((target) => conversation.targets.findIndex((own) => own && same(own, target)));
  const columns: number[] = [];
  let next = conversation;
  targets.forEach((target, index) => {
    const own = places[index] ?? -1;
    const free = [0, 1].find((column) => !columns.includes(column) && !places.includes(column)) ?? 0;
    const column = own >= 0 && !columns.includes(own) ? own : free;
    columns.push(column);
    next = setTarget(next, column, target);
  });
  return { ...next, columns: columns.length > 0 ? columns : [0] };
}
