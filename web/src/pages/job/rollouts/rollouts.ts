/** The sampled answers of a run's steps, checked: they come from a model and its backend. Pure. */
import { finite, isObject, type JsonObject } from "../../../lib/json";
import { clean } from "../../../lib/text";

export interface Rollout {
  where: string;
  prompt: string;
  answer: string;
  truncated: boolean;
  reward: number;
  /** Each reward by name, if there are several. */
  rewards: readonly (readonly [name: string, score: number])[];
  /** The answers and tool calls of an episode. */
  turns: readonly Turn[];
  /** How many of its last turns were left out. */
  omitted: number;
  /** Why the environment failed; empty if it did not. */
  failure: string;
}

export interface Turn {
  answer: string;
  calls: readonly Call[];
}

export interface Call {
  name: string;
  arguments: string;
  result: string;
  error: boolean;
}

const MOST = 20;
const MOST_TURNS = 100;

/** The steps with answers, in order, each once: a resumed run repeats some. */
export function stepsOf(events: readonly JsonObject[]): ReadonlyMap<number, JsonObject> {
  const byStep = new Map<number, JsonObject>();
  for (const event of events) {
    const step = finite(event.step);
    if (step !== null) byStep.set(step, event);
  }
  return new Map([...byStep].sort(([first], [other]) => first - other));
}

export function rolloutsOf(event: JsonObject | undefined): Rollout[] {
  const sent: unknown = event?.rollouts;
  if (!Array.isArray(sent)) return [];
  return sent
    .slice(0, MOST)
    .filter(isObject)
    .flatMap(({ where, prompt, answer, truncated, reward, rewards, turns, omitted, failure }) => {
      const sum = finite(reward);
      if (sum === null || typeof answer !== "string") return [];
      const scores = Object.entries(isObject(rewards) ? rewards : {})
        .slice(0, MOST)
        .flatMap(([name, score]): [string, number][] => {
          const value = finite(score);
          return value === null ? [] : [[clean(name, 60), value]];
        });
      return [
        {
          where: clean(where, 120),
          prompt: typeof prompt === "string" ? prompt : "",
          answer,
          truncated: truncated === true,
          reward: sum,
          rewards: scores.length > 1 ? scores : [],
          turns: objects(turns).map((turn) => ({
            answer: text(turn.answer),
            calls: objects(turn.calls).map((call) => ({
              name: clean(call.name, 80),
              arguments: text(call.arguments),
              result: text(call.result),
              error: call.error === true,
            })),
          })),
          omitted: finite(omitted) ?? 0,
          failure: clean(failure, 500),
        },
      ];
    });
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.slice(0, MOST_TURNS).filter(isObject) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
