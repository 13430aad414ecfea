/** Two answers to a question without names: requested in random order, shown in random order, and only together. */
import { askWhole } from "../../chat/ask-whole";
import type { Target } from "../../chat/model/types";
import type { ChatMessage } from "../../contract.gen";
import type { Side } from "./wilson";

export interface Question {
  text: string;
  /** The messages before it, if it is not the first. */
  messages?: readonly ChatMessage[];
}

export interface Pair {
  question: string;
  left: string;
  right: string;
  /** Whose answer is on the left. */
  leftIs: Side;
}

const coin = (): boolean => (crypto.getRandomValues(new Uint8Array(1))[0]! & 1) === 1;

type Ask = (question: Question, target: Target, signal: AbortSignal) => Promise<string>;

const greedy: Ask = ({ text, messages = [{ role: "user", content: text }] }, target, signal) =>
  askWhole(messages, target, signal);

export async function pairFor(
  question: Question,
  targets: Readonly<Record<Side, Target>>,
  signal: AbortSignal,
  ask: Ask = greedy,
  toss: () => boolean = coin,
): Promise<Pair> {
  const order: readonly Side[] = toss() ? ["one", "other"] : ["other", "one"];
  const leftIs: Side = toss() ? "one" : "other";
  // Both at the same time: asked one after the other, the second would wait for the first.
  const texts = await Promise.all(order.map((side) => ask(question, targets[side], signal)));
  const [left, right] = order[0] === leftIs ? texts : texts.toReversed();
  return { question: question.text, left: left ?? "", right: right ?? "", leftIs };
}

/** Pairs in the order of their questions; the next one is requested while one is read. */
export class Pairs {
  readonly #made = new Map<number, Promise<Pair>>();
  readonly #abort = new AbortController();

  constructor(
    readonly questions: readonly Question[],
    private readonly make: (question: Question, signal: AbortSignal) => Promise<Pair>,
  ) {}

  /** The pair at an index; then the next one is requested. A pair that failed is requested anew. */
  async at(index: number): Promise<Pair> {
    const pair = await this.#get(index);
    if (index + 1 < this.questions.length) void this.#get(index + 1).catch(() => undefined);
    return pair;
  }

  stop(): void {
    this.#abort.abort();
  }

  #get(index: number): Promise<Pair> {
    let pair = this.#made.get(index);
    if (!pair) {
      pair = this.make(this.questions[index]!, this.#abort.signal);
      this.#made.set(index, pair);
      pair.catch(() => this.#made.delete(index));
    }
    return pair;
  }
}

const MOST = 200;
const LONGEST = 4000;

/** One question per line, each once. */
export function questionsIn(text: string): Question[] {
  return distinct(text.split("\n").map((line) => ({ text: line })));
}

/** Each question once, without empty ones; the same question after different messages counts as two. */
export function distinct(questions: readonly Question[]): Question[] {
  const known = new Map<string, Question>();
  for (const { text, ...rest } of questions) {
    const trimmed = text.trim().slice(0, LONGEST);
    if (trimmed !== "") known.set(JSON.stringify(rest.messages ?? trimmed), { ...rest, text: trimmed });
  }
  return [...known.values()].slice(0, MOST);
}

/** The questions in random order. */
export function shuffled(questions: readonly Question[], toss: () => number = Math.random): Question[] {
  const shuffled = [...questions];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(toss() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}
