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
}

const MOST = 20;

/** The steps with answers, in order, each once: a resumed run repeats some. */
export function stepsOf(told: readonly JsonObject[]): ReadonlyMap<number, JsonObject> {
  const found = new Map<number, JsonObject>();
  for (const each of told) {
    const step = finite(each.step);
    if (step !== null) found.set(step, each);
  }
  return new Map([...found].sort(([one], [other]) => one - other));
}

export function rolloutsOf(told: JsonObject | undefined): Rollout[] {
  const sent: unknown = told?.rollouts;
  if (!Array.isArray(sent)) return [];
  return sent
    .slice(0, MOST)
    .filter(isObject)
    .flatMap(({ where, prompt, answer, truncated, reward, rewards }) => {
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
        },
      ];
    });
}
