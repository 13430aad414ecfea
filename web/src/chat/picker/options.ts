/** The target picker's options for the typed words. Pure, so that it can be tested with ten thousand jobs. */
import type { Job } from "../../contract.gen";
import { displayName } from "../../lib/text";
import type { Target } from "../model/types";
import { answerOf } from "../targets";

export interface Option {
  key: string;
  group: "Base models" | "Trained by jobs";
  label: string;
  /** Where the label alone is ambiguous: the model's full name, or the job's id. */
  detail: string;
  target: Target;
  job?: Job;
}

/** Visible rows of each group; typing narrows the list. */
export const MAX_ROWS = 40;

interface Offered {
  options: Option[];
  /** Matching jobs that are not shown. */
  more: number;
}

export function optionsFor(typed: string, models: readonly string[], jobs: readonly Job[]): Offered {
  const words = typed.trim().toLowerCase().split(/\s+/u).filter(Boolean);
  const fits = (...texts: (string | undefined)[]): boolean => {
    const text = texts.join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const base = models.filter((model) => fits(model)).slice(0, MAX_ROWS);
  const fitting = jobs.filter((job) => fits(job.name, job.id, job.config?.model, job.status));
  const free = typed.trim();
  const typedModel = free !== "" && !models.includes(free);
  return {
    options: [
      ...base.map((model) => modelOption(model, model)),
      ...(typedModel ? [modelOption(free, `Use “${displayName(free)}” as base model`)] : []),
      ...fitting.slice(0, MAX_ROWS).map(jobOption),
    ],
    more: Math.max(0, fitting.length - MAX_ROWS),
  };
}

const modelOption = (model: string, label: string): Option => ({
  key: `base:${model}`,
  group: "Base models",
  label: label === model ? displayName(model) : label,
  detail: "",
  target: { kind: "base", model },
});

const jobOption = (job: Job): Option => ({
  key: `final:${job.id}`,
  group: "Trained by jobs",
  label: displayName(job.name),
  detail: job.id,
  target: answerOf(job),
  job,
});
