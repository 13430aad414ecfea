/**
 * Settings that were changed on the page and are not in the file: the next run takes them, and they outlive a reload, until
 * they are written or undone. A value that the table does not allow is kept too, for whoever is still typing it.
 */
import { signal } from "@preact/signals";
import { type JobConfig, type JobParent, ONE_OF, type Trainer, type TrainRequest } from "../contract.gen";
import { readStored, TRAINER_DRAFTS, type TrainerDraft, writeStored } from "../lib/storage";
import { project } from "./credentials";
import { chosenPlacement } from "./placement";

/** Values by field; null takes a setting away, as if the file did not say it. */
export type Changes = Readonly<Record<string, unknown>>;

const drafts = signal(readStored(TRAINER_DRAFTS));

/** How many of the drafted values are not allowed, as far as the form has looked. */
export const draftFaults = signal(0);

/** The form was filled from a job and is to be seen, whatever runs. */
export const formWanted = signal(false);

/** A trainer's draft; one that was begun in another project, on the same address, is not this trainer's. */
function draftOf({ name }: Trainer): TrainerDraft | undefined {
  const draft = drafts.value[name];
  const here = project.value;
  return here && draft?.project && draft.project !== here ? undefined : draft;
}

/** What the draft of a trainer changes: only what differs from its file. */
export function changesFor(trainer: Trainer): Changes {
  const config = trainer.config as unknown as Changes | undefined;
  const entries = Object.entries(draftOf(trainer)?.changes ?? {});
  return config ? Object.fromEntries(entries.filter(([field, value]) => !same(config[field], value))) : {};
}

/** The trainer as it would be run now. */
export function drafted(trainer: Trainer): Trainer {
  const changes = changesFor(trainer);
  if (Object.keys(changes).length === 0) return trainer;
  const merged = Object.entries({ ...trainer.config, ...changes }).filter(([, value]) => value !== null);
  return { ...trainer, config: Object.fromEntries(merged) as unknown as JobConfig };
}

/** The job that the draft was filled from. */
export function draftedFrom(trainer: Trainer): string | undefined {
  return draftOf(trainer)?.from;
}

/** The checkpoint whose adapter the next training begins with. */
export function draftParent(trainer: Trainer): JobParent | undefined {
  return draftOf(trainer)?.parent;
}

/** What a start sends besides the trainer's name. */
export function draftRequest(
  trainer: Trainer,
  more: Changes = {},
): Pick<TrainRequest, "settings" | "parent" | "on"> {
  const settings = { ...changesFor(trainer), ...more };
  const parent = draftParent(trainer);
  const on = chosenPlacement.value;
  return {
    ...(on && { on }),
    ...(Object.keys(settings).length > 0 && { settings }),
    ...(parent && { parent }),
  };
}

/** The next training begins from the base model again. */
export function dropParent(trainer: Trainer): void {
  store(trainer, changesFor(trainer), { from: draftedFrom(trainer) });
}

/** Sets some settings in the form, as if they were typed one by one. */
export function applySettings(trainer: Trainer, values: Changes): void {
  let changes = changesFor(trainer);
  for (const [field, value] of Object.entries(values)) changes = withChange(trainer, changes, field, value);
  store(trainer, changes, draftOf(trainer));
}

/** Back to what the file says, with what went when the setting was changed. */
export function undoSetting(trainer: Trainer, field: string): void {
  const gone = [field, ...partners(field)];
  const kept = Object.entries(changesFor(trainer)).filter(([other]) => !gone.includes(other));
  store(trainer, Object.fromEntries(kept), draftOf(trainer));
}

/** Back to what the file says in all. */
export function dropDraft(trainer: Trainer): void {
  store(trainer, {});
}

/** The settings of a job in the place of the file's. */
export function fillFrom(
  trainer: Trainer,
  job: { id: string; config: JobConfig },
  fields: readonly string[],
  parent?: JobParent,
): void {
  const [theirs, ours] = [job.config, trainer.config].map((config) => (config ?? {}) as unknown as Changes);
  const differing = fields.filter((field) => !same(theirs![field], ours![field]));
  const changes = Object.fromEntries(differing.map((field) => [field, theirs![field] ?? null]));
  store(trainer, changes, { from: job.id, parent });
  formWanted.value = true;
}

function withChange(trainer: Trainer, changes: Changes, field: string, value: unknown): Changes {
  const next: Record<string, unknown> = { ...changes, [field]: value };
  // Of two that exclude each other the one that was set last counts.
  if (value !== null) for (const other of partners(field)) next[other] = null;
  const config = trainer.config as unknown as Changes;
  return Object.fromEntries(Object.entries(next).filter(([key, each]) => !same(config[key], each)));
}

function partners(field: string): string[] {
  return ONE_OF.flatMap(([first, second]) => (field === first ? [second] : field === second ? [first] : []));
}

function store({ name }: Trainer, changes: Changes, { from, parent }: Partial<TrainerDraft> = {}): void {
  const { [name]: _, ...others } = drafts.peek();
  const filled = parent || Object.keys(changes).length > 0;
  drafts.value = filled ? { ...others, [name]: { changes, from, parent, project: project.peek() } } : others;
  writeStored(TRAINER_DRAFTS, drafts.peek());
}

/** Whether both say the same; null says as little as nothing. */
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}
