/** Validates values and detects conflicts like `arkor_dev/contract`; both share one fixture. */
import type { TrainingMethod } from "../../../contract.gen";
import { CONFLICTS, type Conflict, FORM, type FormSetting, type Rule } from "../../../form.gen";
import { number } from "../../../lib/format";
import type { Changes } from "../../../store/trainer-draft";

/** Characters that Python considers non-printable, which a line of text must not contain. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

const BY_FIELD = new Map<string, FormSetting>(FORM.map((setting) => [setting.field, setting]));

/** The settings of the config's training method, and those that are set although it does not have them. */
export function settingsFor(
  config: Changes,
  methods: readonly TrainingMethod[],
  all: readonly FormSetting[] = FORM,
): FormSetting[] {
  const isSet = (field: string): boolean => field in config;
  const method = config.method ?? BY_FIELD.get("method")?.default;
  return all
    .filter((setting) => {
      const { field } = setting;
      if (isSet(field)) return true;
      // A dry run has its own switch next to the button, and a single method is no choice.
      if (field === "dryRun" || (field === "method" && methods.length < 2)) return false;
      return setting.methods?.includes(String(method)) ?? true;
    })
    .map((setting) =>
      setting.field === "method" && methods.length > 1
        ? { ...setting, kind: "choice", choices: methods.map(({ name }) => name) }
        : { ...setting, ...setting.variants?.[String(method)] },
    );
}

/** The config without the settings that its training method does not have. */
export function ofMethod(config: Changes): Changes {
  const method = String(config.method ?? BY_FIELD.get("method")?.default);
  const has = (field: string): boolean => BY_FIELD.get(field)?.methods?.includes(method) ?? true;
  return Object.fromEntries(Object.entries(config).filter(([field]) => has(field)));
}

/** What a value must be, in words, like `Rule.words` of the contract. */
export function allowedBy({ allowed, kind, low = 0, high = 0, above, choices = [] }: FormSetting): string {
  if (allowed) return allowed;
  if (kind === "flag") return "true or false";
  if (kind === "choice") return `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`;
  const noun = `a ${kind === "whole" ? "whole " : ""}number`;
  return above
    ? `${noun} above ${number(low)}, ${number(high)} at most`
    : `${noun} from ${number(low)} to ${number(high)}`;
}

/** What a value must be, if it is invalid; null if it is allowed. */
export function problemOf(setting: FormSetting, value: unknown): string | null {
  if (value === null && !setting.required) return null;
  return fits(setting, value) ? null : `Must be ${allowedBy(setting)}.`;
}

export function fits(rule: Rule, value: unknown): boolean {
  const { kind, choices, of, alone } = rule;
  switch (kind) {
    case "flag":
      return typeof value === "boolean";
    case "choice":
      return typeof value === "string" && choices!.includes(value);
    case "text":
      return (
        typeof value === "string" &&
        !UNPRINTABLE.test(value) &&
        within(rule, [...value.trim()].length) &&
        within(rule, [...value].length)
      );
    case "list":
      if (!Array.isArray(value)) return of !== undefined && fits(of, value);
      if (!within(rule, value.length)) return false;
      if (value.length > 1 && value.some((member) => alone?.includes(member))) return false;
      return of === undefined || value.every((member) => fits(of, member));
    case "whole":
    case "number":
      return (
        typeof value === "number" && (kind === "number" || Number.isInteger(value)) && within(rule, value)
      );
  }
}

function within({ low = 0, high = Number.POSITIVE_INFINITY, above }: Rule, size: number): boolean {
  return size <= high && (above ? size > low : size >= low);
}

/** The conflicts in a config, by the field to remove. */
export function conflictsIn(config: Changes): ReadonlyMap<string, string> {
  return new Map(
    CONFLICTS.filter((conflict) => arises(conflict, config)).map(({ field, text }) => [
      field,
      `${text.replace(/\{(\w+)\}/g, (_, name: string) => BY_FIELD.get(name)?.label ?? name)}.`,
    ]),
  );
}

function arises({ field, other, allowed, refused, unless }: Conflict, config: Changes): boolean {
  const [own, row] = [config[field], BY_FIELD.get(other)!];
  // False, zero and empty values count as unset.
  const setting = BY_FIELD.get(field)!;
  if (
    !own ||
    same(own, []) ||
    same(own, setting.variants?.[String(config.method)]?.default ?? setting.default)
  )
    return false;
  if (unless && config[unless]) return false;
  const set = config[other] ?? null;
  if (!allowed && !refused) return set !== null;
  if (set !== null && !fits(row, set)) return false;
  const value: unknown = Array.isArray(set) && set.length === 1 ? set[0] : (set ?? row.default ?? null);
  const listed = (list: readonly unknown[]): boolean => list.some((candidate) => same(candidate, value));
  return allowed ? !listed(allowed) : listed(refused!);
}

function same(first: unknown, other: unknown): boolean {
  return JSON.stringify(first) === JSON.stringify(other);
}
