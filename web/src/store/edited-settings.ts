/** How `arkor.toml` was edited since a job began, as far as the job would run otherwise. Pure. */
import { type Job, SETTINGS, type Trainer } from "../contract.gen";
import { type Change, changesOf } from "./trainer-changes";
import { DATA } from "./trainer-draft";

interface Edits {
  /** The new values by field; null for a setting that was removed. */
  settings: Record<string, unknown>;
  changes: Change[];
  /** Whether other rows are named: of that only an edit in front of this page is known. */
  data: boolean;
}

/** `before` is the trainer as it was first read. What was changed for the job alone is no edit. */
export function editedSettings(job: Job, trainer: Trainer, before: Trainer | undefined): Edits {
  const [theirs, ours] = [job.config, trainer.config ?? job.config].map(
    (config) => config as unknown as Record<string, unknown>,
  );
  const byHand: readonly unknown[] = job.config.setByHand ?? [];
  const fields: string[] = SETTINGS.map(({ field }) => field).filter(
    (field) => field !== "dryRun" && !byHand.includes(field) && !isSame(theirs?.[field], ours?.[field]),
  );
  const then = (before?.config ?? ours) as Record<string, unknown>;
  const data = DATA.filter((field) => !isSame(then[field], ours?.[field]));
  const old = Object.fromEntries([
    ...fields.map((field) => [field, theirs?.[field]]),
    ...data.map((field) => [field, then[field]]),
  ]);
  return {
    settings: Object.fromEntries(fields.map((field) => [field, ours?.[field] ?? null])),
    changes: changesOf({ ...trainer, config: { ...ours, ...old } as unknown as Job["config"] }, trainer),
    data: data.length > 0,
  };
}

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
