/** Starts a sweep: whose settings, which of them to search, and until when. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, useAttempt } from "../../api/client";
import { type ManifestSweep, SETTINGS, type Sweep, type Trainer } from "../../contract.gen";
import { finite } from "../../lib/json";
import { displayName } from "../../lib/text";
import { go, href } from "../../router";
import { features } from "../../store/features";
import { loadManifest, manifest, manifestError } from "../../store/manifest";
import { FIXED } from "../../sweep.gen";
import { Button } from "../../ui/controls/button";
import { Select, submits } from "../../ui/controls/switch";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { isRange, jobsWords, nextTime, textOf, valuesFrom } from "./model";
import { SourcesForm } from "./sources";
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
const HOUR = "1 h";

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
  return (
    <>
      <Fields trainers={trainers} written={manifest.value.sweep ?? {}} />
      {features.value.has("sources") && <SourcesForm trainers={trainers} />}
    </>
  );
}

/** The form, filled in from `[sweep]` of the file. */
function Fields({ trainers, written }: { trainers: readonly Trainer[]; written: ManifestSweep }) {
  const [name, setName] = useState(written.trainer ?? "");
  const [entries, setEntries] = useState<readonly Entry[]>(written.space ? entriesOf(written.space) : USUAL);
  const end = written.hours ? `${written.hours} h` : written.jobs ? "" : HOUR;
  const [until, setUntil] = useState(written.until ?? end);
  const [jobs, setJobs] = useState(written.jobs ? `${written.jobs}` : "");
  const { busy, error, setError, attempt } = useAttempt();
  const [enough, setEnough] = useState<number | null>(null);
  const trainer = trainers.find((candidate) => candidate.name === name) ?? trainers[0]!;
  const change = (index: number, changes: Partial<Entry>): void => {
    setEntries(entries.map((entry, position) => (position === index ? { ...entry, ...changes } : entry)));
  };
  const start = async (split?: number): Promise<void> => {
    setEnough(null);
    const space: Record<string, unknown> = {};
    for (const { field, text, log, values: valueTexts } of entries) {
      const isGiven = valueTexts !== undefined && text === textOf(valueTexts);
      const values = isGiven && !isRange(valueTexts) ? valueTexts : valuesFrom(text, log);
      const label = SETTINGS.find((setting) => setting.field === field)?.label ?? field;
      if (values === null) {
        setError(`${label}: write values such as 8, 16, 64, or a range such as 1e-4 to 5e-3`);
        return;
      }
      space[field] = values;
    }
    const isDate = Number.isFinite(Date.parse(until)); // the file may have a date and time
    const date = isDate ? new Date(until).toISOString() : null;
    const deadline = nextTime(until, Date.now()) ?? date;
    if (until && !deadline) {
      setError("End: write hours such as 8 h, or a time of day such as 07:00");
      return;
    }
    const body = {
      name: `${trainer.name} sweep`,
      config: split === undefined ? trainer.config : { ...trainer.config, datasetSplit: split },
      space,
      ...(deadline ? { deadline } : {}),
      ...(jobs ? { jobs: Number(jobs) } : {}),
    };
    await attempt(async () => {
      const { askAboutNotices } = await import("../home/data-question");
      await askAboutNotices();
      try {
        const { sweep } = await api<{ sweep: Sweep }>("/sweeps", { method: "POST", body });
        go(href("/sweeps", { id: sweep.id }));
      } catch (fault) {
        if (fault instanceof ApiError) setEnough(finite(fault.extra.evalSplit));
        throw fault;
      }
    });
  };
  const free = SETTINGS.filter(
    ({ field }) => !FIXED.has(field) && !entries.some((entry) => entry.field === field),
  );
  return (
    <form style={styles.form} aria-label="Search for better settings" onSubmit={submits(() => start())}>
      {trainers.length > 1 && (
        <label style={styles.field}>
          <span>Trainer</span>
          <Select
            value={trainer.name}
            options={trainers.map((listed) => [listed.name, displayName(listed.name)])}
            onChange={setName}
          />
        </label>
      )}
      {entries.map(({ field, text, log }, index) => {
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
              disabled={entries.length < 2}
              onClick={() => setEntries(entries.filter((_, other) => other !== index))}
            />
          </fieldset>
        );
      })}
      <div style={styles.row}>
        <Button
          small
          onClick={() => setEntries([...entries, { field: free[0]!.field, text: "", log: false }])}
        >
          Add a setting
        </Button>
      </div>
      <label style={styles.field}>
        <span>End (after hours such as 8 h, or at a time of day such as 07:00)</span>
        <input
          class="ui-input"
          placeholder={HOUR}
          value={until}
          onInput={(event) => setUntil(event.currentTarget.value)}
        />
      </label>
      <label style={styles.field}>
        <span>Most trials (optional)</span>
        <input
          class="ui-input"
          inputMode="numeric"
          value={jobs}
          onInput={(event) => setJobs(event.currentTarget.value)}
        />
      </label>
      {error && (
        <ErrorNote title="The sweep was not started" error={error}>
          {enough !== null && (
            <Button small onClick={() => void start(enough)}>
              Hold out {Math.round(100 * enough)} % in this search
            </Button>
          )}
        </ErrorNote>
      )}
      <div style={styles.row}>
        <Button kind="primary" type="submit" busy={busy}>
          Start sweep
        </Button>
      </div>
      <p class="hint">
        {jobsWords(Number(jobs))} Jobs that you start meanwhile go first. Half of the held-out rows choose,
        the other half judge; at the end the best settings and yours are trained with three fresh seeds each.
      </p>
    </form>
  );
}
