/** Starts a sweep: whose settings, which of them to search, and until when. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, errorText } from "../../api/client";
import { type ManifestSweep, SETTINGS, type Sweep, type Trainer } from "../../contract.gen";
import { displayName } from "../../lib/text";
import { go, href } from "../../router";
import { loadManifest, manifest, manifestError } from "../../store/manifest";
import { Button } from "../../ui/controls/button";
import { Select, submits } from "../../ui/controls/switch";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { isRange, nextTime, textOf, valuesFrom } from "./model";
import { styles } from "./styles";

interface Entry {
  field: string;
  text: string;
  log: boolean;
  /** The values in the file, as long as their text is unchanged. */
  values?: unknown;
}

/** The settings for which a search is most often worthwhile, with ranges around the usual values. */
const USUAL: readonly Entry[] = [
  { field: "learningRate", text: "1e-4 to 5e-3", log: true },
  { field: "loraR", text: "8, 16, 64", log: false },
];
const MORNING = "07:00";

const entriesOf = (space: Readonly<Record<string, unknown>>): Entry[] =>
  Object.entries(space).map(([field, values]) => ({
    field,
    values,
    text: textOf(values),
    log: isRange(values) && values.log === true,
  }));

export function StartForm() {
  useEffect(() => void loadManifest(), []);
  if (manifestError.value)
    return <ErrorNote title="The trainers could not be read" error={manifestError.value} />;
  if (!manifest.value) return <Skeleton lines={6} height={20} />;
  const trainers = manifest.value.trainers.filter(({ config }) => config);
  if (trainers.length === 0) return <Empty title="There is no trainer to start from." />;
  return <Fields trainers={trainers} written={manifest.value.sweep ?? {}} />;
}

/** The form, filled in from `[sweep]` of the file. */
function Fields({ trainers, written }: { trainers: readonly Trainer[]; written: ManifestSweep }) {
  const name = useSignal(written.trainer ?? "");
  const entries = useSignal<readonly Entry[]>(written.space ? entriesOf(written.space) : USUAL);
  const end = written.hours ? `${written.hours} h` : written.jobs ? "" : MORNING;
  const until = useSignal(written.until ?? end);
  const jobs = useSignal(written.jobs ? `${written.jobs}` : "");
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const trainer = trainers.find((candidate) => candidate.name === name.value) ?? trainers[0]!;
  const change = (index: number, changes: Partial<Entry>): void => {
    entries.value = entries.value.map((entry, position) =>
      position === index ? { ...entry, ...changes } : entry,
    );
  };
  const start = async (): Promise<void> => {
    error.value = null;
    const space: Record<string, unknown> = {};
    for (const { field, text, log, values: valueTexts } of entries.value) {
      const isGiven = valueTexts !== undefined && text === textOf(valueTexts);
      const values = isGiven && !isRange(valueTexts) ? valueTexts : valuesFrom(text, log);
      const label = SETTINGS.find((setting) => setting.field === field)?.label ?? field;
      if (values === null) {
        error.value = `${label}: write values such as 8, 16, 64, or a range such as 1e-4 to 5e-3`;
        return;
      }
      space[field] = values;
    }
    const isDate = Number.isFinite(Date.parse(until.value)); // the file may have a date and time
    const date = isDate ? new Date(until.value).toISOString() : null;
    const deadline = nextTime(until.value, Date.now()) ?? date;
    if (until.value && !deadline) {
      error.value = "End before: write a time of day such as 07:00, or hours such as 8 h";
      return;
    }
    const body = {
      name: `${trainer.name} sweep`,
      config: trainer.config,
      space,
      ...(deadline ? { deadline } : {}),
      ...(jobs.value ? { jobs: Number(jobs.value) } : {}),
    };
    busy.value = true;
    try {
      const { sweep } = await api<{ sweep: Sweep }>("/sweeps", { method: "POST", body });
      go(href("/sweeps", { id: sweep.id }));
    } catch (failure) {
      error.value = errorText(failure);
    } finally {
      busy.value = false;
    }
  };
  const free = SETTINGS.filter(({ field }) => !entries.value.some((entry) => entry.field === field));
  return (
    <form style={styles.form} aria-label="Search for better settings" onSubmit={submits(start)}>
      {trainers.length > 1 && (
        <label style={styles.field}>
          <span>Trainer</span>
          <Select
            value={trainer.name}
            options={trainers.map((listed) => [listed.name, displayName(listed.name)])}
            onChange={(chosen) => {
              name.value = chosen;
            }}
          />
        </label>
      )}
      {entries.value.map(({ field, text, log }, index) => {
        const label = SETTINGS.find((row) => row.field === field)?.label ?? field;
        return (
          <fieldset key={field} style={{ ...styles.entry, border: 0, margin: 0, padding: 0 }}>
            <legend class="visually-hidden">{label}</legend>
            <Select
              aria-label="Setting"
              value={field}
              options={[[field, label], ...free.map((row) => [row.field, row.label] as const)]}
              onChange={(next) => change(index, { field: next, text: "", values: undefined })}
            />
            <input
              class="ui-input"
              aria-label={`Values of ${label}`}
              placeholder="8, 16, 64 or 1e-4 to 5e-3"
              value={text}
              onInput={(event) => change(index, { text: event.currentTarget.value })}
            />
            <label style={styles.key}>
              <input
                class="ui-check"
                type="checkbox"
                checked={log}
                onChange={(event) => change(index, { log: event.currentTarget.checked })}
              />
              log
            </label>
            <Button
              small
              kind="quiet"
              icon="close"
              aria-label={`Remove ${label}`}
              disabled={entries.value.length < 2}
              onClick={() => {
                entries.value = entries.value.filter((_, other) => other !== index);
              }}
            />
          </fieldset>
        );
      })}
      <div style={styles.row}>
        <Button
          small
          onClick={() => {
            entries.value = [...entries.value, { field: free[0]!.field, text: "", log: false }];
          }}
        >
          Add a setting
        </Button>
      </div>
      <label style={styles.field}>
        <span>End before (time of day, or hours such as 8 h)</span>
        <input
          class="ui-input"
          placeholder={MORNING}
          value={until.value}
          onInput={(event) => {
            until.value = event.currentTarget.value;
          }}
        />
      </label>
      <label style={styles.field}>
        <span>Most trials (optional)</span>
        <input
          class="ui-input"
          inputMode="numeric"
          value={jobs.value}
          onInput={(event) => {
            jobs.value = event.currentTarget.value;
          }}
        />
      </label>
      {error.value && <ErrorNote title="The sweep was not started" error={error.value} />}
      <div style={styles.row}>
        <Button kind="primary" type="submit" busy={busy.value}>
          Start sweep
        </Button>
      </div>
      <p class="hint">
        Jobs that you start meanwhile go first. Half of the held-out rows choose, the other half judge; at the
        end the best settings and yours are trained with three fresh seeds each.
      </p>
    </form>
  );
}
