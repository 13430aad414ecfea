/** Which settings a form has, and what is wrong with their values. */
import type { TrainingMethod } from "../../../contract.gen";
import { CONFLICTS, FORM, type FormSetting } from "../../../form.gen";
import type { Changes } from "../../../store/trainer-draft";

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
        ? { ...setting, ...choiceOf(methods.map(({ name }) => name)) }
        : { ...setting, ...setting.variants?.[String(method)] },
    );
}

function choiceOf(choices: readonly string[]) {
  const allowed = `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`;
  return {
    kind: "choice" as const,
    choices,
    allowed,
    fits: (value: unknown) => choices.some((each) => each === value),
  };
}

/** The config without the settings that its training method does not have. */
export function ofMethod(config: Changes): Changes {
  const method = String(config.method ?? BY_FIELD.get("method")?.default);
  const has = (field: string): boolean => BY_FIELD.get(field)?.methods?.includes(method) ?? true;
  return Object.fromEntries(Object.entries(config).filter(([field]) => has(field)));
}

/** What a value must be, if it is invalid; null if it is allowed. */
export function problemOf({ required, fits, allowed }: FormSetting, value: unknown): string | null {
  return (value === null && !required) || fits(value) ? null : `Must be ${allowed}.`;
}

/** The conflicts in a config, by the field to remove. */
export function conflictsIn(config: Changes): ReadonlyMap<string, string> {
  return new Map(CONFLICTS.filter(({ arises }) => arises(config)).map(({ field, text }) => [field, text]));
}
