/** A run's answers by step and prompt, checked, since their sender is not trusted. Pure. */
import type { ChatMessage } from "../../../contract.gen";
import { finite, isObject, type JsonObject } from "../../../lib/json";

export interface Answer {
  text: string;
  truncated: boolean;
}

export interface Prompt {
  number: number;
  text: string;
  /** The messages before it, with roles and texts only; empty if it is the first, null if unknown. */
  before: readonly ChatMessage[] | null;
  wanted: string;
  /** The number of its held-out row. */
  row: number | null;
  answers: ReadonlyMap<number, Answer>;
}

export interface Samples {
  /** Every step with an answer, ascending; 0 is the base model. */
  steps: readonly number[];
  prompts: readonly Prompt[];
}

const MOST_PROMPTS = 50;

export function samplesOf(events: readonly JsonObject[]): Samples {
  const steps = new Set<number>();
  const prompts = new Map<number, Prompt & { answers: Map<number, Answer> }>();
  for (const event of events) {
    const [step, number] = [finite(event.step), finite(event.number)];
    if (step === null || step < 0 || number === null || typeof event.answer !== "string") continue;
    if (!prompts.has(number) && prompts.size >= MOST_PROMPTS) continue;
    steps.add(step);
    const prompt = prompts.get(number) ?? {
      number,
      text: text(event.prompt),
      before: beforeOf(event.messages),
      wanted: text(event.wanted),
      row: finite(event.row),
      answers: new Map<number, Answer>(),
    };
    prompts.set(number, prompt);
    prompt.answers.set(step, { text: event.answer, truncated: event.truncated === true });
  }
  return {
    steps: [...steps].sort((a, b) => a - b),
    prompts: [...prompts.values()].sort((a, b) => a.number - b.number),
  };
}

const ROLES: readonly unknown[] = ["system", "user", "assistant", "tool"];

/** The messages before the last user message. */
export function beforeOf(sent: unknown): ChatMessage[] | null {
  if (sent === undefined || sent === null) return [];
  if (!Array.isArray(sent) || sent.length === 0) return null;
  const known = (turn: unknown): turn is JsonObject => isObject(turn) && ROLES.includes(turn.role);
  if (!sent.every(known)) return null;
  return sent
    .slice(0, -1)
    .map((turn) => ({ role: turn.role as ChatMessage["role"], content: text(turn.content) }));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The newest of `steps` at `at`; the first one before that. */
export function newestAt(steps: readonly number[], at: number): number | undefined {
  return steps.findLast((step) => step <= at) ?? steps[0];
}

/** The answer to a prompt at `step` and the one before it, if they exist. */
export function answerAt(
  prompt: Prompt,
  steps: readonly number[],
  step: number,
): [Answer | undefined, Answer | undefined] {
  const before = steps.findLast((other) => other < step && prompt.answers.has(other));
  return [prompt.answers.get(step), before === undefined ? undefined : prompt.answers.get(before)];
}

/** The system prompt of a question that nothing else precedes; null if something does, or may. */
export function systemOf(before: readonly ChatMessage[] | null): string | null {
  if (before === null) return null;
  const [first, more] = before;
  if (first === undefined) return "";
  return more === undefined && first.role === "system" ? first.content : null;
}
