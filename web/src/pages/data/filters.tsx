/** What else than its text filters rows: a role, a length, a source. */
import type { Trainer } from "../../contract.gen";
import { clean } from "../../lib/text";
import { Select } from "../../ui/controls/switch";
import type { Search } from "./view";

export type Filter = Omit<Search, "want" | "than">;

/** Languages that can be detected; a script stands for all of its languages. */
const LANGUAGES = [
  ...[
    "English",
    "German",
    "French",
    "Spanish",
    "Italian",
    "Portuguese",
    "Dutch",
    "Polish",
    "Turkish",
    "Swedish",
  ],
  ...["Indonesian", "Vietnamese", "Japanese", "Korean", "Chinese", "Russian or another language in Cyrillic"],
  ...[
    "Greek",
    "Arabic or another language in its script",
    "Hebrew",
    "Hindi or another language in Devanagari",
  ],
  "Thai",
];
const ROLES = ["system", "user", "assistant", "tool"] as const;

/** The names of a data set's sources, if there are several. */
export function sourcesOf({ config }: Trainer): string[] {
  const { type, sources } = config?.datasetSource ?? {};
  if (type !== "list" || !sources) return [];
  return sources.map(({ path, name, url }) => clean(path ?? name ?? url, 100));
}

interface Props {
  filter: Filter;
  set: (filter: Filter) => void;
  sources: readonly string[];
}

export function Filters({ filter, set, sources }: Props) {
  const change = <K extends keyof Filter>(key: K, value: Filter[K] | undefined): void => {
    // Rows with a finding can't be filtered further.
    const { [key]: _, code: __, ...rest } = filter;
    set(value === undefined ? rest : { ...rest, [key]: value });
  };
  const length = (key: "least" | "most", label: string) => (
    <input
      class="ui-input data-filter-length num"
      type="number"
      min={1}
      aria-label={label}
      placeholder={key === "least" ? "from" : "to"}
      value={filter[key] ?? ""}
      onInput={({ currentTarget: { valueAsNumber } }) =>
        change(key, valueAsNumber >= 1 ? Math.floor(valueAsNumber) : undefined)
      }
    />
  );
  const count = Object.keys(filter).filter((key) => key !== "text").length;
  return (
    <details class="data-filters">
      <summary>Filter{count > 0 ? ` (${count})` : ""}</summary>
      <span class="data-filter-fields">
        <Select
          aria-label="Said by"
          value={filter.role ?? ""}
          options={[["", "said by anyone"], ...ROLES.map((role) => [role, `said by ${role}`] as const)]}
          onChange={(role) => change("role", role || undefined)}
        />
        <Select
          class="data-filter-language"
          aria-label="Language"
          value={filter.language ?? ""}
          options={[
            ["", "in any language"],
            ...LANGUAGES.map((language) => [language, `in ${language}`] as const),
          ]}
          onChange={(language) => change("language", language || undefined)}
        />
        {length("least", "At least so many tokens")}
        {length("most", "At most so many tokens")} tokens
        {sources.length > 1 && (
          <Select
            aria-label="From"
            value={filter.source ?? ""}
            options={[["", "from any source"], ...sources.map((name, at) => [at, name] as const)]}
            onChange={(source) => change("source", source === "" ? undefined : Number(source))}
          />
        )}
      </span>
    </details>
  );
}
