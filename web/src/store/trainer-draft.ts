/**
 * Settings that were changed on the page and are not in the file: the next run takes them, and they outlive a reload, until
 * they are written or undone. An invalid value is kept too, since it may still be being typed.
 */
import { signal } from "@preact/signals";
import {
  type DatasetSource,
  type JobConfig,
  ONE_OF,
  type RequestedParent,
  type Trainer,
  type TrainRequest,
} from "../contract.gen";
import { readStored, TRAINER_DRAFTS, type TrainerDraft, writeStored } from "../lib/storage";
import { project } from "./credentials";
import { chosenPlacement } from "./placement";

/** Values by field; null removes a setting, as if the file did not have it. */
export type Changes = Readonly<Record<string, unknown>>;

const drafts = signal(readStored(TRAINER_DRAFTS));

/** The number of invalid values in the draft, as far as the form has checked. */
export const draftFaults = signal(0);

/** The form was filled from a job and should be shown even while a run is live. */
export const formWanted = signal(false);

/** A trainer's draft; a draft from another project at the same address is not this trainer's. */
function draftOf({ name }: Trainer): TrainerDraft | undefined {
  const draft = drafts.value[name];
  const folder = project.value;
  return folder && draft?.project && draft.project !== folder ? undefined : draft;
}

/** A draft's changes: only differences from the file. */
export function changesFor(trainer: Trainer): Changes {
  const config = trainer.config as unknown as Changes | undefined;
  const entries = Object.entries(draftOf(trainer)?.changes ?? {});
  return config ? Object.fromEntries(entries.filter(([field, value]) => !same(config[field], value))) : {};
}

/** The trainer with its draft applied. */
export function drafted(trainer: Trainer): Trainer {
  const changes = changesFor(trainer);
  if (Object.keys(changes).length === 0) return trainer;
  const merged = Object.entries({ ...trainer.config, ...changes }).filter(([, value]) => value !== null);
  const { rows: _rows, unreadable: _unreadable, ...uncounted } = trainer;
  const known = "datasetSource" in changes ? uncounted : trainer;
  return { ...known, config: Object.fromEntries(merged) as unknown as JobConfig };
}

/** The job from which the draft was filled. */
export function draftedFrom(trainer: Trainer): string | undefined {
  return draftOf(trainer)?.from;
}

/** The checkpoint from which the next training starts. */
export function draftParent(trainer: Trainer): RequestedParent | undefined {
  return draftOf(trainer)?.parent;
}

/** What a start sends besides the trainer's name. */
export function draftRequest(
  trainer: Trainer,
  more: Changes = {},
): Pick<TrainRequest, "settings" | "parent" | "on" | "data"> {
  const { datasetSource, evalDatasetSource: _, ...changes } = changesFor(trainer);
  const settings = { ...changes, ...more };
  const parent = draftParent(trainer);
  const on = chosenPlacement.value;
  return {
    ...(on && { on }),
    ...(Object.keys(settings).length > 0 && { settings }),
    ...(datasetSource ? { data: pathsOf(datasetSource as DatasetSource) } : {}),
    ...(parent && { parent }),
  };
}

/** The fields of a config that hold data sets, which a draft replaces by files of the project. */
export const DATA = ["datasetSource", "evalDatasetSource"] as const;

/** Whether the draft trains on other data than the file says. */
export const hasOtherData = (trainer: Trainer): boolean => DATA.some((field) => field in changesFor(trainer));

const pathsOf = ({ sources, path }: DatasetSource): string[] =>
  Array.isArray(sources) ? sources.flatMap(pathsOf) : path === undefined ? [] : [path];

/** Makes the next training start from the base model again. */
export function dropParent(trainer: Trainer): void {
  store(trainer, changesFor(trainer), { from: draftedFrom(trainer) });
}

/** Makes the next training start from that adapter. */
export function setParent(trainer: Trainer, parent: RequestedParent): void {
  store(trainer, changesFor(trainer), { from: draftedFrom(trainer), parent });
}

/** Sets some settings in the form, as if typed one by one. */
export function applySettings(trainer: Trainer, values: Changes): void {
  let changes = changesFor(trainer);
  for (const [field, value] of Object.entries(values)) changes = withChange(trainer, changes, field, value);
  store(trainer, changes, draftOf(trainer));
}

/** Resets a setting to the file's value, and restores the one that it replaced. */
export function undoSetting(trainer: Trainer, field: string): void {
  const gone = [field, ...partners(field)];
  const remaining = Object.entries(changesFor(trainer)).filter(([other]) => !gone.includes(other));
  store(trainer, Object.fromEntries(remaining), draftOf(trainer));
}

/** Resets all settings to the file's values. */
export function dropDraft(trainer: Trainer): void {
  store(trainer, {});
}

/** Replaces the file's settings with a job's. */
export function fillFrom(
  trainer: Trainer,
  job: { id: string | undefined; config: JobConfig },
  fields: readonly string[],
  parent?: RequestedParent,
): void {
  const [theirs, ours] = [job.config, trainer.config].map((config) => (config ?? {}) as unknown as Changes);
  const differing = fields.filter((field) => !same(theirs![field], ours![field]));
  const changes = Object.fromEntries(differing.map((field) => [field, theirs![field] ?? null]));
  store(trainer, changes, { from: job.id, parent });
  formWanted.value = true;
}

function withChange(trainer: Trainer, changes: Changes, field: string, value: unknown): Changes {
  const next: Record<string, unknown> = { ...changes, [field]: value };
  // Of two exclusive settings, the one set last counts.
  if (value !== null) for (const other of partners(field)) next[other] = null;
  const config = trainer.config as unknown as Changes;
  return Object.fromEntries(Object.entries(next).filter(([key, setting]) => !same(config[key], setting)));
}

function partners(field: string): string[] {
  return ONE_OF.flatMap(([first, second]) => (field === first ? [second] : field === second ? [first] : []));
}

function store({ name }: Trainer, changes: Changes, { from, parent }: Partial<TrainerDraft> = {}): void {
  const { [name]: _, ...remaining } = drafts.peek();
  const filled = parent || Object.keys(changes).length > 0;
  drafts.value = filled
    ? { ...remaining, [name]: { changes, from, parent, project: project.peek() } }
    : remaining;
  writeStored(TRAINER_DRAFTS, drafts.peek());
}

/** Whether both are equal; null equals an absent value. */
function same(first: unknown, other: unknown): boolean {
  return JSON.stringify(first ?? null) === JSON.stringify(other ?? null);
}
